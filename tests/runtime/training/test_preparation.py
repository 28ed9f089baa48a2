"""What prepared files are kept under: everything that changes what is in them, and nothing else. Called by pytest."""

import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from training_rig import command, losses

from models.config.policy import PolicyConfig
from models.config.source import Source
from models.data.demonstrations import find
from models.sizes import full_wan, small
from models.train.choices import Augmentation
from models.train.prepared import Prepared
from runtime.training import command as train
from runtime.training.preparation import Kind, Preparation

pytestmark = pytest.mark.usefixtures("fresh_accelerator", "here")


def kept_under(kind: Kind, config: PolicyConfig) -> str:
    """The hash in the name of the folder of a kind of files."""
    pool: Any = None
    preparation = Preparation(pool, Path("/cache"), config, None, "cpu", 0)
    return preparation._depends(kind)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(("kind", "differs"), [("features", True), ("latents", False), ("pictures", False)])
def test_a_transformer_from_elsewhere_makes_other_features_of_the_same_latents(kind: Kind, differs: bool) -> None:
    base = full_wan()
    tuned = [
        base.model_copy(update={"published": base.published.model_copy(update={"transformer": Source(repo=place)})})
        for place in ("/data/tuned.safetensors", "/data/other.safetensors")
    ]
    hashes = {kept_under(kind, config) for config in (base, *tuned)}
    assert len(hashes) == (3 if differs else 1)


def test_versions_are_kept_apart_and_by_what_changes_them(data: Path) -> None:
    (first, _), pool = find(data), cast(Any, None)

    def path(version: int, **changed: Any) -> Path:
        augmentation = Augmentation(**changed)
        preparation = Preparation(pool, Path("/cache"), small(), None, "cpu", 0, augmentation)
        return preparation._path("latents", first, version)  # pyright: ignore[reportPrivateUsage]

    paths = [path(0), path(1), path(2), path(1, hue_deg=5.0)]
    assert len(set(paths)) == len(paths)
    assert path(0) == path(0, hue_deg=5.0), "nothing is changed there"


def test_changed_versions_are_learnt_from_as_well(data: Path, video: Path, action: Path, tmp_path: Path) -> None:
    shutil.copytree(action / "cache", tmp_path / "cache")
    flags = [
        "--video",
        str(video),
        "--steps",
        "2",
        "--cloning.changed_versions",
        "1",
        "--cloning.augmentation.share",
        "1",
    ]
    assert train.main(command("action", data, tmp_path, *flags, "--cache", str(tmp_path / "cache"))) == 0
    made = {kind: sorted(tmp_path.glob(f"cache/{kind}-*/*/*.safetensors")) for kind in ("latents", "features")}
    assert {kind: len(paths) for kind, paths in made.items()} == {"latents": 4, "features": 4}
    by_episode: dict[str, list[torch.Tensor]] = {}
    for path in made["latents"]:
        by_episode.setdefault(path.stem.rpartition("-")[0], []).append(Prepared(path)["high"].float())
    for one, other in by_episode.values():
        assert one.shape == other.shape
        assert (one - other).abs().mean() > 0.01
    assert losses(tmp_path, "action") != losses(action, "action")
