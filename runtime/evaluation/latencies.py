"""How long both systems and the cameras are declared to take on the virtual clock. Used by world.py and its callers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from runtime.errors import SettingsError
from runtime.host import plain_file

_LONGEST_S = 60.0  # that anything may be declared to take; chosen: beyond it no chunk would be used
_LARGEST_BENCH_BYTES = 1 << 20  # of a record of bench.sh; chosen: far more than its figures take
_BOTH = "both_at_once_1_to_8"  # the figures of both systems in such a record


@dataclass(frozen=True)
class Latencies:
    """How long things take, s."""

    camera_s: float = 0.02
    """From a picture to its notice."""
    system1_s: float = 0.045
    """From a run's start to its chunk in the arms process."""
    system2_s: float = 0.11

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The usual latencies, but for those given by name. Raises SettingsError for an unknown name or an impossible time."""
        for name, value in given.items():
            if name not in cls.__dataclass_fields__:
                raise SettingsError(
                    f"unknown latency {name!r:.40}; choose one of {', '.join(cls.__dataclass_fields__)}"
                )
            if not isinstance(value, (int, float)) or not 0 < value <= _LONGEST_S:
                raise SettingsError(
                    f"latency {name}: must be above 0 and at most {_LONGEST_S:.0f} s, got {value!r:.40}"
                )
        return cls(**given)


def of_bench(path: Path) -> dict[str, float]:
    """Both systems' latencies by name, s, of a record of `bench --models --json`. Raises SettingsError for another file."""
    try:
        measured = plain_file.json_value(path, _LARGEST_BENCH_BYTES)[_BOTH]
        return {f"{name}_s": measured[f"{name}_p50_ms"] / 1e3 for name in ("system1", "system2")}
    except (OSError, ValueError) as error:
        why = str(error)
    except (KeyError, TypeError):
        why = f"{_BOTH} is missing, or lacks a system's median"
    raise SettingsError(f"--bench {path}: not a record of ./launch/bench.sh --models ({why}); give another file")
