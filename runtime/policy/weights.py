"""Fetches the published weights that a policy names, and policies, into the hub's cache: the command `weights.sh`.
Called by runtime/cli.py. The robot itself never uses the network.

Says first what is there and how much will come. An interrupted fetch resumes where it stopped; at the end every file's
checksum is compared with the hub's, and a file with another one is removed.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx2
from huggingface_hub import HfApi, constants, hf_hub_url, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers, filter_repo_objects, logging

from models import hub_policy
from models.config.source import Source
from models.families import Config
from models.sources import FILES, sources
from runtime.config.input_paths import check_checkpoint
from runtime.config.policy import configured
from runtime.config.system_settings import Policy, PublishedWeights
from runtime.errors import RuntimeFault
from runtime.host.next_step import say_next
from runtime.host.progress import bar
from runtime.host.terminal import say, size_text
from runtime.policy.flags import WEIGHTS


class Digest(Protocol):
    """The part of hashlib's objects that is used here: both kinds of checksum are computed through it."""

    def update(self, data: bytes, /) -> None:
        """Add the next bytes of the file."""
        ...

    def hexdigest(self) -> str:
        """The checksum of all bytes so far, as the hub writes it."""
        ...


_BLOCK_BYTES = 1 << 22  # read at once for a checksum; chosen: 4 MiB, so that the bar moves and memory stays small
_SPARE_BYTES = 1 << 30  # left free on the disk; chosen: 1 GiB, as `recorder.reserve_gib`
_AGAIN = "run the same command again, which resumes it"


@dataclass(frozen=True)
class Need:
    """One published part and the files of it that the policy reads."""

    part: str
    source: Source
    patterns: tuple[str, ...]
    files: tuple[RepoFile, ...]

    @property
    def missing_bytes(self) -> int:
        """How much of it would be fetched: the sizes of the files that are not in the cache."""
        return sum(file.size for file in self.files if self.path(file) is None)

    def path(self, file: RepoFile) -> Path | None:
        """Where a file lies in the cache; None while it is not there."""
        found = try_to_load_from_cache(self.source.repo, file.path, revision=self.source.revision)
        return Path(found) if isinstance(found, str) else None


def main(arguments: list[str]) -> int:
    """Fetch what the size or the checkpoint of the line names. Called by runtime/cli.py; returns 0, raises RuntimeFault."""
    options, _ = WEIGHTS.read(arguments)
    logging.set_verbosity_error()  # it retries by itself; what it gives up on is one line of ours
    of_hub = hub_policy.parts(str(options.checkpoint))
    if of_hub is not None:
        fetch_policy(Source(repo=of_hub[0], revision=of_hub[1]))
        check_checkpoint(options.checkpoint, "--checkpoint")
    published = PublishedWeights(transformer=options.transformer)
    config = configured(Policy(size=options.size, checkpoint=options.checkpoint, published=published))
    if sources(config) or of_hub is None:
        fetch(config)
    if of_hub is not None:
        say_next("watch it", "robot", "--policy.checkpoint", str(options.checkpoint))
    elif options.checkpoint is None:
        train = ("video", "--size", options.size, *_tuned(options.transformer), "--data", "DIR", "--out", "DIR")
        say_next("train a policy on them", "train", *train)
    else:
        say_next("encode instructions", "instruct", "--policy.checkpoint", options.checkpoint, "TEXT")
    return 0


def _tuned(transformer: str | None) -> Iterator[str]:
    """Flags by which `train` reads a transformer from elsewhere."""
    source = {} if transformer is None else Source.parse(transformer).model_dump(exclude_none=True)
    for name, value in source.items():
        yield from (f"--policy.published.transformer.{name}", value)


def fetch(config: Config) -> None:
    """Bring every published part of a policy into the cache, and check it.

    Raises:
        RuntimeFault: The hub cannot be reached, the disk has no room, or a checksum is not the hub's (that file is removed).
    """
    needs = [_need(part, source, FILES[part]) for part, source in sources(config).items() if source.folder is None]
    if not needs:
        say(f"{config.name}: no part is published on the hub; nothing to fetch")
        return
    _bring(needs)


def fetch_policy(source: Source) -> None:
    """Bring a policy of the hub into the cache, and check it; not what it names as published elsewhere. Raises RuntimeFault."""
    _bring([_need("policy", source, hub_policy.FILES)])


def _bring(needs: Sequence[Need]) -> None:
    cache = Path(constants.HF_HUB_CACHE)
    for need in needs:
        size = sum(file.size for file in need.files)
        say(f"{need.part:11} {need.source.repo}  {size_text(size)}, {size_text(need.missing_bytes)} to fetch")
    total, free = sum(need.missing_bytes for need in needs), _free_bytes(cache)
    say(f"{size_text(total)} to fetch into {cache} ({size_text(free)} free)")
    if total and total + _SPARE_BYTES > free:
        raise RuntimeFault(
            f"{cache}: needs {size_text(total + _SPARE_BYTES)}, {size_text(free)} free; free disk space, or set HF_HOME to "
            "another disk"
        )
    for need in needs:
        _download(need)
    wrong = [path for need in needs for path in _wrong(need)]
    for path in wrong:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
    if wrong:
        raise RuntimeFault(f"{wrong[0]}: its checksum is not the hub's ({len(wrong)} such files, deleted); {_AGAIN}")
    say("complete; all checksums match the hub's")


def _need(part: str, source: Source, patterns: tuple[str, ...]) -> Need:
    try:
        tree = list(HfApi().list_repo_tree(source.repo, recursive=True, revision=source.revision))
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        raise RuntimeFault(f"{source.repo}: the hub cannot be reached ({_short(error)}); {_AGAIN}") from None
    files = [file for file in tree if isinstance(file, RepoFile)]
    chosen = tuple(filter_repo_objects(files, allow_patterns=list(patterns), key=lambda file: file.path))
    if not chosen:
        another = "--checkpoint" if part == "policy" else f"published.{part}"
        raise RuntimeFault(f"{source.repo}: {', '.join(patterns)} are missing; give another {another}")
    return Need(part, source, patterns, chosen)


def _download(need: Need) -> None:
    source, patterns = need.source, list(need.patterns)
    try:
        for file in need.files:
            if file.lfs is not None and need.path(file) is None:
                _download_large(source, file.path, file.lfs.sha256, file.size)
        snapshot_download(source.repo, revision=source.revision, allow_patterns=patterns)
    except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError, OSError) as error:
        raise RuntimeFault(f"{source.repo}: the fetch was interrupted ({_short(error)}); {_AGAIN}") from None


def _download_large(source: Source, name: str, sha256: str, size: int) -> None:
    """Bring a file into the cache's store, from where it broke off: the hub's own client would begin again."""
    store = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=source.repo, repo_type="model") / "blobs"
    store.mkdir(parents=True, exist_ok=True)
    begun = store / f"{sha256}.begun"
    if begun.exists() and begun.stat().st_size > size:
        begun.unlink()
    url = hf_hub_url(source.repo, name, revision=source.revision)
    with begun.open("ab") as file:
        http_get(
            url, file, resume_size=file.tell(), headers=build_hf_headers(), expected_size=size, displayed_filename=name
        )
    begun.rename(store / sha256)


def _wrong(need: Need) -> Iterator[Path]:
    """The files whose content is not what the hub says it is."""
    total = sum(file.size for file in need.files)
    with bar(total, f"checking {need.source.repo}", "B", unit_scale=True) as progress:
        for file in need.files:
            path = need.path(file)
            if path is None:
                raise RuntimeFault(f"{need.source.repo}: {file.path} is missing; {_AGAIN}")
            digest: Digest = hashlib.sha256() if file.lfs is not None else _git_blob(path)
            with path.open("rb") as data:
                while block := data.read(_BLOCK_BYTES):
                    digest.update(block)
                    progress.update(len(block))
            if digest.hexdigest() != (file.lfs.sha256 if file.lfs is not None else file.blob_id):
                yield path


def _git_blob(path: Path) -> "Digest":
    """The hash by which git names a file that is not in large-file storage, begun with its header."""
    return hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)


def _free_bytes(folder: Path) -> int:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return shutil.disk_usage(there).free


def _short(error: Exception) -> str:
    return " ".join(str(error).split()[:20]) or type(error).__name__
