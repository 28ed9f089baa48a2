"""Files are written whole or not at all, and never through a link. Called by pytest."""

import resource
from pathlib import Path

import pytest

from runtime.host import whole_file


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "private").write_bytes(b"mine")
    (tmp_path / "trace.json").symlink_to(tmp_path / "private")
    whole_file.write(tmp_path / "trace.json", b"new")
    assert (tmp_path / "private").read_bytes() == b"mine"
    assert (tmp_path / "trace.json").read_bytes() == b"new" and not (tmp_path / "trace.json").is_symlink()


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    path.write_bytes(b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError):
            whole_file.write(path, bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old" and [found.name for found in tmp_path.iterdir()] == ["summary.json"]
