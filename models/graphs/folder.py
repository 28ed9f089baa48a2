"""Where the graphs of one checkpoint are kept between runs, so that a later start neither writes them nor imports diffusers.

Made by runtime/policy/networks.py; called by both systems of models/graphs.
"""

import hashlib
import platform
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from models.errors import ModelError
from models.graphs.graph import Graph, written

_SOURCES = Path(__file__).parents[1]
_KEPT = 8  # folders of other checkpoints, the newest; chosen: graphs of both systems take 75 MB
_LIBRARIES = ("torch", "onnx", "onnxruntime", "diffusers")
_FLAGS = "flags"  # the line of /proc/cpuinfo that names a processor's instructions

Network = tuple[nn.Module, Mapping[str, torch.Tensor], Mapping[str, Mapping[int, str]]]
"""What `written` is given: the network, its examples, and the dimensions that may differ."""


class GraphFolder:
    """Graphs of a checkpoint by name. Whoever asks for one that is not there says how its network is made."""

    def __init__(self, root: Path, checkpoint_id: str, threads: int) -> None:
        self._folder, self._threads = root / f"{checkpoint_id}-{_made_with()}", threads
        self._open: dict[str, Graph] = {}

    def graph(self, name: str, make: Callable[[], Network]) -> Graph:
        """A graph, read once; written first where there is none, or one that cannot be read.

        Args:
            name: of the file; letters, digits, `-` and `_`.
            make: gives the network, its inputs and their lengths, as `written` takes them.

        Raises:
            ModelError: it cannot be written.
        """
        if name not in self._open:
            self._open[name] = self._read(self._folder / f"{name}.onnx", make)
        return self._open[name]

    def _read(self, path: Path, make: Callable[[], Network]) -> Graph:
        if path.is_file():
            try:
                return Graph(path, self._threads)
            except ModelError:
                path.unlink(missing_ok=True)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelError(f"{self._folder}: cannot be written ({error.strerror}); free disk space") from None
        _forget_others(self._folder)
        written(path, *make())
        return Graph(path, self._threads)


def _made_with() -> str:
    """16 hexadecimal digits of a hash of all that a graph depends on but the checkpoint: code, libraries, processor."""
    digest = hashlib.sha256(platform.machine().encode())
    for path in sorted(_SOURCES.rglob("*.py")):
        digest.update(path.read_bytes())
    for library in _LIBRARIES:
        digest.update(f"{library} {version(library)}".encode())
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    digest.update(next((line for line in lines if line.startswith(_FLAGS)), "").encode())
    return digest.hexdigest()[:16]


def _forget_others(folder: Path) -> None:
    """Remove the folders that were written to longest ago, but for some."""
    others = [other for other in folder.parent.iterdir() if other.is_dir() and other != folder]
    for old in sorted(others, key=lambda other: other.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
