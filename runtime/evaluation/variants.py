"""What each of the paper's ablations compares: flags of the run, or of the training of a policy each. Used by sweep.

Those of the run (ratio, shift, blend, latency) evaluate one policy; those of the policy (features, inputs, window, filter,
depth, eyes, paths) first train a policy each. paths also takes one that is given.
"""

from dataclasses import dataclass

from drivers.sim.shift_suites import SHIFTS
from runtime.errors import SettingsError
from runtime.evaluation.flags import EvaluateFlags


@dataclass(frozen=True)
class Variant:
    """One row of an ablation."""

    name: str
    settings: tuple[str, ...] = ()  # flags of the run
    policy: tuple[str, ...] | None = None  # flags of the training, () for `small` as it is; None: nothing is trained
    series: str = ""  # what it varies, with the unit, where that is a number
    value: float = 0.0  # that number


def _filters(spatial: str, motion: str) -> tuple[str, ...]:
    return ("--policy.filters.spatial", spatial, "--policy.filters.motion", motion)


def _depth(dual: int, single: int) -> tuple[str, ...]:
    return ("--policy.video.backbone.dual_blocks", str(dual), "--policy.video.backbone.single_blocks", str(single))


def _latency(system: int, latency_ms: int) -> Variant:
    """One system at another latency. System 2's conditions may then be as old as it makes them: else the arms' limit of 4 s
    would stop them, whatever the policy could do.
    """
    flags = (f"--system{system}-s", f"{latency_ms / 1e3:g}")
    older = ("--safety.max_condition_age_s", _OLDEST_S) if system == 2 else ()
    return Variant(
        f"System {system} {latency_ms} ms", (*flags, *older), series=f"latency of System {system}, ms", value=latency_ms
    )


_PLAIN = ("--policy.head.guess_width", "0")  # a first guess is made of keypoints
# Pictures and width are those of the small size's keypoints; the rest is chosen.
_SIGLIP = '{"kind":"siglip","image_px":64,"width":128,"depth":4,"heads":4,"patch_px":8,"feed_forward":256}'
PATHS = "paths"
"""The sweep that draws the hands' paths; hand_paths.py plays it."""
_NO_VIDEO = Variant("no video", policy=("--policy.inputs", "no_video"))
_BOTH = Variant("both filters", policy=())
_RAW = Variant("raw features", policy=_filters("none", "none"))
_NATIVE = ("--policy.video.high.height_px", "192", "--policy.video.high.width_px", "256")
_LATENCIES_MS = {2: (50, 100, 200, 400, 800, 1500, 2500, 4000), 1: (30, 45, 60, 90, 130, 190, 280, 400)}
"""By system; chosen: evenly on a logarithmic axis, from a GPU's to a slow processor's."""
_OLDEST_S = "15"  # chosen: above 1.5 times two cycles of 4 s and a period (condition_age.py)
# Ratios of the paper's Figure 5 (b); sizes of windows and depths around those of the small policy, chosen.
SWEEPS: dict[str, tuple[Variant, ...]] = {
    "ratio": tuple(Variant(f"1:{n}", ("--ratio", str(n))) for n in (1, 2, 4, 8, 16)),
    "shift": tuple(Variant(shift, ("--shift", shift)) for shift in SHIFTS),
    "features": (
        _NO_VIDEO,
        _RAW,
        Variant("+ Sobel", policy=_filters("sobel", "none")),
        Variant("+ FFT", policy=_filters("none", "fft")),
        _BOTH,
    ),
    PATHS: (Variant("given policy"), _NO_VIDEO, _RAW, _BOTH),
    "blend": tuple(Variant(blend, ("--trajectory.blend", blend)) for blend in ("fade", "prefix", "ensemble", "none")),
    "eyes": (
        Variant("keypoints", policy=()),
        Variant("keypoints + 3 blocks", policy=("--policy.image.blocks", "3")),
        Variant("keypoints without guess", policy=_PLAIN),
        Variant("SigLIP without guess", policy=(*_PLAIN, "--policy.image", _SIGLIP)),
    ),
    "inputs": (
        Variant("all", policy=()),
        _NO_VIDEO,
        Variant("no head picture", policy=("--policy.inputs", "no_head")),
        Variant("wrists alone", policy=("--policy.inputs", "wrists")),
        Variant("blind", policy=("--policy.inputs", "blind")),
    ),
    "window": (Variant("96 x 128", policy=()), Variant("192 x 256", policy=_NATIVE)),
    "filter": (
        Variant("Sobel", policy=()),
        Variant("Scharr", policy=_filters("scharr", "fft")),
        Variant("Laplacian", policy=_filters("laplacian", "fft")),
    ),
    "depth": (
        *(Variant(f"{d} + {s} blocks", policy=_depth(d, s)) for d, s in ((1, 0), (2, 0), (4, 0), (4, 1))),
        Variant("4 + 2 blocks", policy=()),
    ),
    "latency": tuple(_latency(system, ms) for system, several in _LATENCIES_MS.items() for ms in several),
}


def asked(name: str, options: EvaluateFlags) -> list[tuple[Variant, int | None]]:
    """Each variant with each seed that it is trained with; None for one that is not trained.

    Raises SettingsError where the line asks for what the sweep has not, or lacks what its variants are trained on.
    """
    variants = {variant.name: variant for variant in SWEEPS[name]}
    for wanted in options.variants:
        if wanted not in variants:
            raise SettingsError(
                f"--variants {wanted}: must be one or more of {', '.join(variants)}, those of --sweep {name}"
            )
    chosen = [variants[wanted] for wanted in options.variants] or _usual(name, options)
    trained = [variant for variant in chosen if variant.policy is not None]
    if options.train_seeds != (0,) and not trained:
        raise SettingsError(
            f"--train-seeds {','.join(map(str, options.train_seeds))}: --sweep {name} trains nothing; leave it out"
        )
    if name == PATHS and options.expert and trained:
        raise SettingsError("--expert: is not trained; leave out --data, --video and --variants")
    if trained and None in (options.data, options.video):
        raise SettingsError(f"--sweep {name}: trains policies; give --data and --video (./launch/train.sh video)")
    return [
        (variant, seed)
        for variant in chosen
        for seed in (options.train_seeds if variant.policy is not None else (None,))
    ]


def _usual(name: str, options: EvaluateFlags) -> list[Variant]:
    """All variants; of the paths the given policy where nothing is given to train on, else the trained ones."""
    if name != PATHS:
        return list(SWEEPS[name])
    given = options.data is None and options.video is None
    return [variant for variant in SWEEPS[name] if (variant.policy is None) == given]
