"""Encoding instructions ahead: real text encoder, the cache in the test's folder."""

import os
import tempfile
from pathlib import Path

import pytest

from models.embedding_file import load_embedding
from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault, SettingsError
from runtime.policy import instruct
from runtime.policy.embedding_cache import EmbeddingCache


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path)


def test_texts_are_encoded_into_the_cache(settings: Settings, cache: EmbeddingCache) -> None:
    first, second = instruct.encode(settings, ["open the drawer", "close it"], cache)
    one, two = load_embedding(first), load_embedding(second)
    assert one.language.shape != two.language.shape


def test_an_encoded_text_is_left_alone(settings: Settings, cache: EmbeddingCache) -> None:
    (path,) = instruct.encode(settings, ["open the drawer"], cache)
    path.write_bytes(b"kept")
    assert instruct.encode(settings, ["open the drawer"], cache) == [path]
    assert path.read_bytes() == b"kept"


def test_another_policy_has_another_file(settings: Settings, cache: EmbeddingCache) -> None:
    other = load_settings(["--policy.size", "small"])  # with random weights, its text encoder's among them
    assert instruct.encode(settings, ["go"], cache) != instruct.encode(other, ["go"], cache)


@pytest.mark.parametrize(
    "arguments", [[], [" "], ["x" * 1001], ["go", "--surprise", "1"], ["go", "--profile", "nowhere"]]
)
def test_bad_arguments_are_one_line(arguments: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        instruct.main(arguments)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("flags", [["--policy.size", "nothing"], ["--policy.size=nothing"]])
@pytest.mark.parametrize("before", [True, False])
def test_flags_of_the_settings_may_stand_anywhere(flags: list[str], before: bool) -> None:
    with pytest.raises(SettingsError, match=r"--policy.size.*nothing"):
        instruct.main([*flags, "go"] if before else ["go", *flags])


def test_the_command_prints_a_line_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert instruct.main(["open the drawer", "close it"]) == 0
    *lines, follows = capsys.readouterr().out.splitlines()
    assert follows.endswith("robot.sh --instruction 'open the drawer'")
    assert [line.split("  ")[1] for line in lines] == ["open the drawer", "close it"]
    assert all(Path(line.split("  ")[0]).is_file() for line in lines)


@pytest.mark.parametrize("home", ["/proc/nobody", "/dev/null"])
def test_a_cache_that_cannot_be_written_is_one_line_and_no_obstacle(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert instruct.main(["open the drawer"]) == 0
    said, line, _ = capsys.readouterr().out.splitlines()
    assert said.startswith(f"video2act: {home}/.cache/video2act/instructions: ") and "XDG_CACHE_HOME" in said
    path = Path(line.split("  ")[0])
    assert path.is_relative_to(tmp_path) and path.is_file()
    assert EmbeddingCache().path(path.stem) == path, "the systems look there too"


def test_where_no_folder_can_be_written_it_is_one_line() -> None:
    cache = EmbeddingCache(Path("/proc/nobody"), Path("/dev/null/x"))
    with pytest.raises(RuntimeFault, match=r"/proc/nobody: .*; /dev/null/x: .*; set XDG_CACHE_HOME to"):
        cache.make_room("key")


def test_another_users_folder_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In /tmp anybody may have made it."""
    (tmp_path / "theirs").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "theirs").stat().st_uid + 1)
    with pytest.raises(RuntimeFault, match="belongs to another user"):
        EmbeddingCache(tmp_path / "theirs").make_room("key")


def test_without_a_home_the_other_folder_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert EmbeddingCache().make_room("key").is_relative_to(tmp_path)
