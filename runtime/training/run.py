"""One training: its settings, and the `run.json` by which only the same training can be resumed. Called by command."""

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import families
from models.config.part import Part
from models.config.policy import PolicyConfig
from models.data.conventions import summary
from models.data.demonstrations import Demonstration
from models.data.reading import Reading
from models.families import Config
from models.identity import checkpoint_id, stored_config
from models.train.choices import Cloning, Filming, Schedule
from models.train.training_state import steps_done
from models.train.video_policy.choices import Acting, Imagining
from models.video_policy.config import VideoPolicyConfig
from runtime.errors import RuntimeFault
from runtime.host.revision import revision
from runtime.training import contents
from runtime.training.ranks import Ranks

_PARTS: dict[str, type[Part]] = {
    "schedule": Schedule, "autoencoder": Schedule, "cloning": Cloning, "filming": Filming, "acting": Acting,
    "imagining": Imagining, "reading": Reading,
}  # fmt: skip
_FIRST = "video2act"  # the family of older records, which name none
_MAY_CHANGE = ("steps", "learning_rate", "rate", "fall_steps", "largest_gradient", "save_every", "loaders")
"""Of a schedule, when a training is resumed: what decides neither which batches there are nor what a state holds."""
_SCHEDULES = ("schedule", "autoencoder")


@dataclass(frozen=True, kw_only=True)
class Run(ABC):
    """One training as its command line says: stage, folders, all settings."""

    stage: str
    data: Path
    out: Path
    cache: Path
    video: Path | None
    begin: Path | None
    schedule: Schedule
    autoencoder: Schedule
    reading: Reading
    workers: int
    ray: str | None
    seed: int
    device: str
    ranks: Ranks
    # No part of what the run is: memory and time, where curves go, and what is measured beside it.
    recompute: bool
    tracker: str = "tensorboard"
    success_every: int | None = None
    success_scenes: int = 0

    @property
    @abstractmethod
    def policy(self) -> Config:
        """The configuration of what is trained."""
        ...

    @property
    @abstractmethod
    def sampling(self) -> dict[str, Part]:
        """How both stages sample, by the names of the flags."""
        ...

    @property
    @abstractmethod
    def phase(self) -> str:
        """The name of the stage's state and curves."""
        ...

    @property
    @abstractmethod
    def batch(self) -> str:
        """The flags by which a smaller batch needs less memory, as they are now."""
        ...

    @property
    def prepares_on(self) -> str:
        """The device that prepares demonstrations: a CPU core runs a small video model of one's own as fast as a GPU does."""
        return self.device if self.policy.has_published else "cpu"

    def describe(self) -> dict[str, Any]:
        """Every setting, for run.json and to compare with an earlier one's."""
        plain: dict[str, Any] = {name: str(getattr(self, name)) for name in ("stage", "data", "video", "seed")}
        parts = {"config": self.policy, "schedule": self.schedule, "reading": self.reading} | self.sampling
        groups = {name: part.model_dump(mode="json") for name, part in parts.items()}
        plain["family"] = families.name_of(self.policy)
        plain["from"] = None if self.begin is None else str(self.begin)
        for name, folder in (("video_id", self.video), ("from_id", self.begin)):
            plain[name] = None if folder is None else checkpoint_id(stored_config(folder), folder, 0)
        if self.stage == "video":
            plain["autoencoder"] = self.autoencoder.model_dump(mode="json")
        return plain | groups | {"processes": self.ranks.processes * self.ranks.machines}


@dataclass(frozen=True, kw_only=True)
class Video2ActRun(Run):
    """One training of Video2Act."""

    config: PolicyConfig
    cloning: Cloning
    filming: Filming

    @property
    def policy(self) -> PolicyConfig:
        """As the base."""
        return self.config

    @property
    def sampling(self) -> dict[str, Part]:
        """As the base."""
        return {"cloning": self.cloning, "filming": self.filming}

    @property
    def phase(self) -> str:
        """As the base."""
        return "flow" if self.stage == "video" else "action"

    @property
    def batch(self) -> str:
        """As the base."""
        if self.stage == "action":
            return f"--cloning.samples {self.cloning.samples}"
        return f"--filming.windows {self.filming.windows}, --filming.pictures {self.filming.pictures}"


@dataclass(frozen=True, kw_only=True)
class VideoPolicyRun(Run):
    """One training of Video Policy."""

    config: VideoPolicyConfig
    acting: Acting
    imagining: Imagining

    @property
    def policy(self) -> VideoPolicyConfig:
        """As the base."""
        return self.config

    @property
    def sampling(self) -> dict[str, Part]:
        """As the base."""
        return {"acting": self.acting, "imagining": self.imagining}

    @property
    def phase(self) -> str:
        """As the base."""
        return "imagination" if self.stage == "video" else "action"

    @property
    def batch(self) -> str:
        """As the base."""
        if self.stage == "action":
            return f"--acting.clips {self.acting.clips}, --acting.chunks {self.acting.chunks}"
        return f"--imagining.clips {self.imagining.clips}, --imagining.pictures {self.imagining.pictures}"


def remember(run: Run, demonstrations: Sequence[Demonstration]) -> None:
    """Write run.json; refuse to resume another run's state under other settings or with other demonstrations.

    What of a schedule may change when a training is resumed is written down there, with the step from which it holds.
    """
    path, wanted = run.out / "run.json", run.describe() | {"demonstrations": _identity(run.data, demonstrations)}
    wanted["contents"] = contents.digest(run.data, demonstrations)
    revisions, changes, settings = _record(path)
    if settings is not None:
        settings = _completed({"contents": wanted["contents"]} | settings)  # older records have none
        changes += _changes(run, settings, wanted)
        other = _difference(_unchangeable(settings, run.out), _unchangeable(wanted, run.out))
        if other is not None:
            raise RuntimeFault(
                f"{path}: begun with {other}; give another --out, or repeat the settings and data of that run"
            )
        if settings["contents"] != wanted["contents"]:
            raise RuntimeFault(
                f"{path}: files of --data {run.data} have changed since it was begun; restore them, or give another "
                "--out"
            )
    run.out.mkdir(parents=True, exist_ok=True)
    if revision() not in revisions:
        revisions.append(revision())  # of the source that began it, and of those that went on with it
    beside = path.with_suffix(".part")  # whole or not at all
    beside.write_text(json.dumps({"settings": wanted, "revisions": revisions, "changes": changes}, indent=1))
    beside.rename(path)


def _record(path: Path) -> tuple[list[str], list[str], dict[str, Any] | None]:
    """The revisions, changes and settings of a training that was begun; no settings: none was."""
    if not path.is_file():
        return [], [], None
    try:
        before = json.loads(path.read_text())
        return list(before["revisions"]), list(before.get("changes", [])), dict(before["settings"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RuntimeFault(f"{path}: not a record of a training; give another --out, or delete the file") from None


def _changes(run: Run, before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What of the schedules is another one than so far, as "from step 2000: schedule.steps 2000, now 4000"."""
    found: list[str] = []
    for group in _SCHEDULES:
        was, is_now = before.get(group), now.get(group)
        if group == "autoencoder" and _is_trained(run.out):
            continue
        if not isinstance(was, dict) or not isinstance(is_now, dict):
            continue
        step = steps_done(run.out / ("autoencoder" if group == "autoencoder" else run.phase))
        others = [name for name in _MAY_CHANGE if was.get(name) != is_now[name]]
        found += [f"from step {step}: {group}.{name} {was.get(name)}, now {is_now[name]}" for name in others]
    return found


def _unchangeable(settings: dict[str, Any], out: Path) -> dict[str, Any]:
    """Settings without what may change when a training is resumed; the steps of a VAE that is trained may not."""
    kept = {name: value for name, value in settings.items() if name != "contents"}  # which has a line of its own
    for group in _SCHEDULES:
        if isinstance(kept.get(group), dict):
            final = {"steps"} if group == "autoencoder" and _is_trained(out) else set[str]()
            kept[group] = {name: value for name, value in kept[group].items() if name not in {*_MAY_CHANGE} - final}
    return kept


def _is_trained(out: Path) -> bool:
    """Whether stage 1's VAE is done: it is not trained further."""
    return (out / "autoencoder" / "config.json").is_file()


def learnt_from(run: Run, demonstrations: Sequence[Demonstration]) -> str:
    """JSON of what the demonstrations of a run were taken to be, which its checkpoint keeps: by what, and for how many."""
    flags = run.reading.model_dump(mode="json", exclude_defaults=True)
    taken = summary(one.conventions for one in demonstrations)
    return json.dumps({"demonstrations": len(demonstrations), "flags": flags, "taken_to_be": taken}, indent=1)


def _completed(settings: dict[str, Any]) -> dict[str, Any]:
    """Written settings with everything that has been added since, at its default, as it was then."""
    try:
        settings = {"reading": {}, "family": _FIRST} | settings  # which older ones do not have
        kinds = _PARTS | {"config": families.CONFIGS[settings["family"]]}
        there = {name: kind for name, kind in kinds.items() if name in settings}
        parts = {name: kind(**settings[name]).model_dump(mode="json") for name, kind in there.items()}
    except (TypeError, ValueError, LookupError):
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
