"""The shipped policy through the seam: the very bits that its networks gave before there was one (golden/shipped-policy.npz).

Bit for bit on the kind of processor that made the file; on others float sums come out in another order, and NEAR is allowed.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from drivers.cobot_magic import CAMERAS, ready_pose
from runtime.config.loading import load_settings
from runtime.policy.networks import fast_system, open_checkpoint, prepare_torch, slow_system
from runtime.policy.protocols import Observation
from runtime.policy.video2act import shown_part

GOLDEN = Path(__file__).parents[1] / "golden"
NEAR = 0.02  # rad; bfloat16 tokens may round to their neighbour
OTHER_ENGINE = 1e-3  # rad; ONNX Runtime adds in another order, on the processor that made the file 5e-7 apart


def picture(camera: str, number: int) -> NDArray[np.uint8]:
    """Noise drawn from camera and number."""
    return np.random.default_rng(CAMERAS.index(camera) * 1000 + number).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def same_processor() -> bool:
    """Whether this is the kind that made the file."""
    made = json.loads((GOLDEN / "schema-1" / "recorded.json").read_text())
    here = (torch.__version__, torch.backends.cpu.get_cpu_capability())
    return made["processor"] in Path("/proc/cpuinfo").read_text() and here == (made["torch"], made["instructions"])


@pytest.mark.parametrize(("engine", "numerics"), [("torch", "plain"), ("torch", "lean"), ("onnx", "lean")])
def test_its_conditions_and_chunks_are_what_they_were(engine: str, numerics: str) -> None:
    """Torch's plain ones to the bit."""
    before = np.load(GOLDEN / "shipped-policy.npz")
    exact = same_processor() and (engine, numerics) == ("torch", "plain")
    within = 0.0 if exact else OTHER_ENGINE if same_processor() else NEAR
    flags = [
        word
        for system in ("system1", "system2")
        for word in (f"--{system}.device", "cpu", f"--{system}.engine", engine, f"--{system}.numerics", numerics)
    ]
    settings = load_settings(flags)
    prepare_torch(settings.system1)
    checkpoint = open_checkpoint(settings)
    assert checkpoint.id == "9c0a3b50af230443"
    instruction = checkpoint.instructor().encode(["hand the block over"])[0]
    slow, fast = slow_system(settings, checkpoint), fast_system(settings, checkpoint)
    windows = {"high": [46, 47], "low": list(range(0, 48, 3))}
    for name, numbers in windows.items():
        for number in numbers:
            slow.encode_frame(name, number, picture("head", number))
    understood = slow.encode_video(windows, instruction)
    for number in (45, 47):
        fast.encode_images((number,) * 3, fast.prepare_images(tuple(picture(camera, number) for camera in CAMERAS)))
    sets, q = ((45,) * 3, (47,) * 3), ready_pose()
    chunk = fast.predict_chunk(Observation(sets, q, instruction, understood.arrays, 0.25, np.zeros((0, 14)), 5))
    prefix = before["chunk"][3:8].astype(float)
    prefixed = fast.predict_chunk(Observation(sets, q, instruction, understood.arrays, 0.25, prefix, 6))
    made = {"chunk": chunk, "prefixed": prefixed}
    if exact:
        made |= {name: understood.arrays[name].values for name in ("spatial", "motion")}
        made |= {"spatial_map": understood.maps["boundaries"].values, "motion_map": understood.maps["motion"].values}
        assert set(made) == set(before.files)
    for name, array in made.items():
        np.testing.assert_allclose(array, before[name], rtol=0, atol=within, err_msg=name)


@pytest.mark.parametrize(
    ("resize", "window", "part"),
    [
        ("stretch", 1.0, (0, 0, 1, 1)),
        ("crop", 3 / 2, (0, 1 / 18, 1, 8 / 9)),
        ("crop", 1.0, (1 / 8, 0, 3 / 4, 1)),
        ("pad", 1.0, (0, -1 / 6, 1, 4 / 3)),
    ],
)
def test_maps_are_of_the_part_of_the_picture_that_a_window_shows(
    resize: str, window: float, part: tuple[float, float, float, float]
) -> None:
    assert shown_part(resize, 4 / 3, window) == pytest.approx(part)
