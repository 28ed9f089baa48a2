"""What prepared files are kept under: everything that changes what is in them, and nothing else. Called by pytest."""

from pathlib import Path
from typing import Any

import pytest

from models.config.policy import PolicyConfig
from models.config.source import Source
from models.sizes import full_wan
from runtime.training.preparation import Kind, Preparation


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
