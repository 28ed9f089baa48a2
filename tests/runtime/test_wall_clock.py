"""Who reads the wall clock: labels, and the stamps of CAN frames, which are the kernel's on a robot. Nothing that decides.

So a clock that is turned changes nothing; the matrix of faults turns the stamps (runtime/faults/arm_rows.py). Called by pytest.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_WALL = re.compile(r"\btime\.time(_ns)?\(|datetime\.now\(|\btime\.(localtime|gmtime|strftime|ctime)\(|\.utcnow\(")
LABELS = {
    "runtime/bench/console.py": "times of a browser, which has no other clock",
    "runtime/bench/console_links.py": "the same",
    "runtime/host/clock.py": "names of sessions",
    "runtime/session/recorder.py": "what is added to a stamp for its label, once for a session",
    "runtime/remote/gpu_side.py": "a number of this life, compared for equality alone",
    "runtime/console/certificate.py": "how long a certificate is good for",
    "drivers/can_hub.py": "stamps of an emulated adapter's frames; whole sets are told by their differences",
}


def test_the_wall_clock_is_read_for_labels_alone() -> None:
    found = {
        str(path.relative_to(ROOT))
        for folder in ("runtime", "drivers")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if _WALL.search(path.read_text())
    }
    assert found == set(LABELS)
