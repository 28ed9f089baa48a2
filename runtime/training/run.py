"""One training: its settings, and the `run.json` by which only the same training can be resumed. Called by command."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.config.part import Part
from models.config.policy import PolicyConfig
from models.data.demonstrations import Demonstration
from models.identity import checkpoint_id, stored_config
from models.train.choices import Cloning, Filming, Schedule
from runtime.errors import RuntimeFault
from runtime.host.revision import revision
from runtime.training.ranks import Ranks

_PARTS: dict[str, type[Part]] = {"config": PolicyConfig, "schedule": Schedule, "cloning": Cloning, "filming": Filming}


@dataclass(frozen=True)
class Run:
    """One training as its command line says: stage, folders, all settings."""

    stage: str
    config: PolicyConfig
    data: Path
    out: Path
    cache: Path
    video: Path | None
    begin: Path | None
    schedule: Schedule
    autoencoder: Schedule
    cloning: Cloning
    filming: Filming
    workers: int
    ray: str | None
    seed: int
    device: str
    ranks: Ranks
    recompute: bool  # no part of what the run is: it changes memory and time alone

    @property
    def prepares_on(self) -> str:
        """The device that prepares demonstrations: a CPU core runs a small video model of one's own as fast as a GPU does."""
        return self.device if self.config.published.video else "cpu"

    def describe(self) -> dict[str, Any]:
        """Every setting, for run.json and to compare with an earlier one's."""
        plain: dict[str, Any] = {name: str(getattr(self, name)) for name in ("stage", "data", "video", "seed")}
        groups = {
            name: getattr(self, name).model_dump(mode="json") for name in ("config", "schedule", "cloning", "filming")
        }
        plain["from"] = None if self.begin is None else str(self.begin)
        for name, folder in (("video_id", self.video), ("from_id", self.begin)):
            plain[name] = None if folder is None else checkpoint_id(stored_config(folder), folder, 0)
        if self.stage == "video":
            plain["autoencoder"] = self.autoencoder.model_dump(mode="json")
        return plain | groups | {"processes": self.ranks.processes * self.ranks.machines}


def remember(run: Run, demonstrations: Sequence[Demonstration]) -> None:
    """Write run.json; refuse to resume another run's state under other settings or with other demonstrations."""
    path, wanted = run.out / "run.json", run.describe() | {"demonstrations": _identity(run.data, demonstrations)}
    revisions: list[str] = []
    if path.is_file():
        try:
            before = json.loads(path.read_text())
            revisions, settings = list(before["revisions"]), dict(before["settings"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise RuntimeFault(f"{path}: not a record of a training; give another --out, or delete the file") from None
        other = _difference(_completed(settings), wanted)
        if other is not None:
            raise RuntimeFault(
                f"{path}: begun with {other}; give another --out, or repeat the settings and data of that run"
            )
    run.out.mkdir(parents=True, exist_ok=True)
    if revision() not in revisions:
        revisions.append(revision())  # of the source that began it, and of those that went on with it
    beside = path.with_suffix(".part")  # whole or not at all
    beside.write_text(json.dumps({"settings": wanted, "revisions": revisions}, indent=1))
    beside.rename(path)


def _completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Written settings with everything that has been added since, at its default, as it was then."""
    try:
        parts = {name: kind(**settings[name]).model_dump(mode="json") for name, kind in _PARTS.items()}
    except (TypeError, KeyError, ValueError):
        return settings  # the difference tells where
    return settings | parts


def _identity(folder: Path, demonstrations: Sequence[Demonstration]) -> str:
    """Which demonstrations they are: how many, and a hash of their names, lengths and wordings."""
    rows = [(str(one.path.relative_to(folder)), one.index, one.task, one.steps, one.texts) for one in demonstrations]
    return f"{len(rows)}, {hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]}"


def _difference(before: Any, now: Any, place: str = "") -> str | None:
    """The first place where two trees differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            found = _difference(before.get(name), now.get(name), f"{place}.{name}" if place else name)
            if found is not None:
                return found
        return None
    return None if before == now else f"{place} {before}, now {now}"
