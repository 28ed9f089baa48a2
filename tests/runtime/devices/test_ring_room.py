"""What a run is said to need in shared memory covers the files that it really makes there. Called by pytest."""

from collections.abc import Callable
from pathlib import Path

from drivers.arm_link import ReadingSlot, TargetSlot
from drivers.sim.link import StateSlot
from models.requirements import needs_of
from models.sizes import small
from runtime.config.settings import Settings
from runtime.devices import ring_room
from runtime.devices.ring_room import ring_slots
from runtime.messaging.bus import Bus
from runtime.messaging.frame_ring import FrameRing
from runtime.messaging.topics import TOPICS


def bytes_of(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.iterdir())


def test_all_but_the_frames_fit_beside_them(folder: Path, bus: Callable[[str], Bus]) -> None:
    arms = bus("arms")
    for name, topic in TOPICS.items():
        if "arms" in topic.publishers:
            arms.publisher(name)
    for side in ("left", "right"):
        TargetSlot(folder, "can", side)
        ReadingSlot(folder, side)
    StateSlot(folder)
    assert 20_000_000 < bytes_of(folder) < ring_room.BESIDE_BYTES


def test_the_frames_of_all_cameras_fit(tmp_path: Path, settings: Settings) -> None:
    from runtime.config.policy import policy_needs

    for name, camera in settings.cameras.by_name().items():
        slots = ring_slots(policy_needs(settings), camera.rate_hz)
        FrameRing.create(tmp_path / f"{name}.ring", camera.width_px, camera.height_px, slots).close()
    room = ring_room.frames_bytes(settings)
    assert room <= bytes_of(tmp_path) < 1.01 * room + 3 * 8192, "and not much more is asked for"


def test_a_ring_holds_the_longest_window_and_a_second() -> None:
    policy = small()
    slots = ring_slots(needs_of(policy), 30.0)
    assert slots >= (policy.video.low.frames * policy.video.low.stride_s + 1.0) * 30
    assert ring_slots(needs_of(policy), 60.0) > 1.9 * slots
    longer = policy.model_copy(update={"history_offset_s": 5.0})
    assert ring_slots(needs_of(longer), 30.0) >= 180
