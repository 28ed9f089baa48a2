"""Reads what make_lerobot.py wrote with the real package, by our own reader, compared. Called by real_lerobot_data.sh."""

import sys
import time
from pathlib import Path

import numpy as np
import simplejpeg

from models.data.demonstrations import find
from models.data.reading import Reading

FIFTY = Reading(cameras=("front=head", "left=left_wrist", "right=right_wrist"))
LONGEST_S = 1.0  # for the last episode of a long video: 100 steps of three cameras


def joints(steps: int, seed: int) -> np.ndarray:
    """(steps, 14), as in make_lerobot.py, which has another interpreter."""
    home = np.tile([0.05, 1.0, -1.0, 0.1, 0.2, -0.1, 0.04], 2)
    swing = np.tile([0.2, 0.3, 0.3, 0.2, 0.15, 0.3, 0.03], 2)
    return (home + swing * np.sin(np.linspace(0, 3, steps)[:, None] + np.arange(14) + seed)).astype(np.float32)


def main(folder: Path) -> None:
    """Joints, sides, tasks, pictures of every set; how long the last episode of the long one takes."""
    for path in sorted(folder.iterdir()):
        for number, one in enumerate(find(path, FIFTY if path.name == "fifty" else Reading())):
            steps = {"fifty": 100, "long": 100}.get(path.name, 40 + 5 * number)
            begun = time.perf_counter()
            episode, seconds = one.read(), time.perf_counter() - begun
            if path.name == "fifty":
                assert len(episode) == 60 and one.conventions.hz == 50
                continue
            wanted = joints(steps, number)
            assert np.allclose(episode.q, wanted, atol=1e-6), f"{path.name} {number}: joints"
            assert np.allclose(episode.leader, np.concatenate([wanted[1:], wanted[-1:]]), atol=1e-6)
            assert episode.instructions == (f"task {number}",)
            assert any(text.startswith("sides") for text in one.conventions.assumed()) == path.name.startswith("null")
            for jpegs in episode.jpegs.values():
                for step in (0, steps // 2, steps - 1):
                    picture = simplejpeg.decode_jpeg(jpegs[step])
                    red = (picture[len(picture) // 2, :, 0].astype(int) - picture[len(picture) // 2, :, 1] > 90).mean()
                    assert abs(red - (step + 1) / steps) < 0.06, f"{path.name} {number}: picture of step {step}"
            if path.name == "long" and number == 26:
                print(f"long: {steps} steps of three cameras from frame {number * steps} in {seconds:.2f} s")
                assert seconds < LONGEST_S, f"limit {LONGEST_S} s"
        print(f"{path.name}: read as written")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
