"""Spreading work over processes and over a Ray cluster: every result comes once, errors come through, nothing stays behind.
Called by pytest; the cluster is a real one on this machine."""

import subprocess
from pathlib import Path

import pytest

from runtime.errors import RuntimeFault
from runtime.host.worker_pool import WorkerPool


def square(number: int) -> int:
    """The work: a module's function, as Spread wants it."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    return number * number


def state() -> set[str]:
    """What lies in shared memory and the processes of clusters, but for other tests' semaphores and other robots."""
    lies = {path.name for path in Path("/dev/shm").iterdir() if not path.name.startswith(("sem.", "video2act"))}
    runs = subprocess.run(["pgrep", "-f", "raylet|gcs_server"], capture_output=True, text=True, check=False)
    return lies | {f"process {number}" for number in runs.stdout.split()}


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("address", [None, "local"])
def test_every_result_comes_once(address: str | None) -> None:
    with WorkerPool("squares", 2, address) as pool:
        assert sorted(pool.results(square, range(9))) == [n * n for n in range(9)]
        with pytest.raises(ValueError, match="-3 is negative"):
            list(pool.results(square, [2, -3]))


@pytest.mark.usefixtures("cluster")
def test_a_cluster_leaves_nothing_behind() -> None:
    before = state()
    with WorkerPool("squares", 1, "local") as pool:
        assert list(pool.results(square, [3])) == [9]
    assert state() <= before


def test_a_cluster_that_is_not_there_is_one_line() -> None:
    with pytest.raises(RuntimeFault, match=r"--ray 127\.0\.0\.1:1") as error, WorkerPool("squares", 1, "127.0.0.1:1"):
        pass
    assert "\n" not in str(error.value)
