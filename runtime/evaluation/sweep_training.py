"""The policies that a sweep's variants need, each trained alike; sweeps with one --out share them.
Called by sweep.py and hand_paths.py.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runtime.evaluation.flags import EvaluateFlags
from runtime.evaluation.variants import Variant
from runtime.host.processors import usable_processors
from runtime.training import command as training


def trained(variant: Variant, seed: int | None, options: EvaluateFlags, data: Sequence[str]) -> Path | None:
    """The run of the variant's own policy: begun, resumed, or found to be done with these settings. None: it has none.

    `data`: flags that say how demonstrations are read.
    """
    if variant.policy is None or seed is None:
        return None
    own = variant.name.replace(" ", "-").replace("+", "with") if variant.policy else "unchanged"
    folder = options.out / "policies" / (f"{own}-seed-{seed}" if seed else own)
    arguments = ["action", "--seed", str(seed), "--out", str(folder)]
    arguments += ["--data", str(options.data), "--video", str(options.video)]
    arguments += ["--cache", str(options.cache or options.out / "cache"), "--steps", str(options.train_steps)]
    arguments += ["--workers", str(options.workers or usable_processors()), "--processes", str(options.processes)]
    arguments += [] if options.ray is None else ["--ray", options.ray]
    training.train([*arguments, *data, *variant.policy])
    return folder


def training_of(folder: Path) -> dict[str, Any]:
    """How a policy was trained, to be recorded beside its figures."""
    settings = json.loads((folder / "run.json").read_text())["settings"]
    reported = {name: settings[name] for name in ("demonstrations", "video_id", "processes", "seed")}
    return reported | {"steps": settings["schedule"]["steps"], "samples": settings["cloning"]["samples"]}
