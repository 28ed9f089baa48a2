"""Many independent pieces of work, on this machine's cores or on a Ray cluster.
Used by demonstrations, training, evaluation and the benchmark of hostile chunks.

A piece is a function of a module and a picklable job. On a cluster the machines share the folders that jobs name.
"""

import multiprocessing
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from types import TracebackType
from typing import Any, Self, TypeVar

from runtime.errors import RuntimeFault
from runtime.host.child_process import die_with_parent

_CONNECT_S = 5.0  # chosen: longer than any machine of one network needs to answer
Job = TypeVar("Job")
Result = TypeVar("Result")


class WorkerPool:
    """Workers, as a context manager.

    Args:
        name: Of what they do, for the list of processes.
        workers: How many.
        ray: A cluster's address (`local` starts one here); None: processes of this machine.
        begin: Called first in each worker, which then is a copy of this process with all that it has in memory: for one that
            has started neither a renderer nor threads. None: workers begin with nothing.
    """

    def __init__(
        self, name: str, workers: int, ray: str | None = None, begin: Callable[[], object] | None = None
    ) -> None:
        self._name, self._workers, self._address, self._begin = name, workers, ray, begin
        self._pool: ProcessPoolExecutor | None = None
        self._others: set[Any] = set()
        self._ray: Any = None

    def __enter__(self) -> Self:
        if self._address is not None:
            self._ray = _connected(self._address, self._workers)
        else:
            self._others = set(multiprocessing.active_children())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None and error is not None:  # Ctrl-C among them: what is under way is given up at once
            for worker in set(multiprocessing.active_children()) - self._others:
                worker.terminate()
        self.release()
        if self._ray is not None:
            self._ray.shutdown()

    def release(self) -> None:
        """End this machine's workers, with what they have loaded; the next piece of work starts new ones."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def results(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """Run `work` on every job and give the results as they come, in any order.

        At most twice as many jobs as workers are taken at once. An error in a worker is raised here.
        """
        begin, first_done = self._ways()
        left = iter(jobs)
        running: list[Any] = []
        while True:
            while len(running) < 2 * self._workers and (job := next(left, None)) is not None:
                running.append(begin(work, job))
            if not running:
                return
            done, running = first_done(running)
            yield from done

    def _ways(self) -> tuple[Callable[..., Any], Callable[[list[Any]], tuple[list[Any], list[Any]]]]:
        """How to begin a piece of work, and how to wait for some of those that run."""
        if self._ray is not None:
            ray = self._ray
            remote = ray.remote(_call)

            def some(running: list[Any]) -> tuple[list[Any], list[Any]]:
                done, rest = ray.wait(running)
                return ray.get(done), rest

            return remote.remote, some
        if self._pool is None:
            way = "spawn" if self._begin is None else "fork"  # renderers and thread pools do not survive a fork
            context, begins = multiprocessing.get_context(way), (self._name, self._begin)
            self._pool = ProcessPoolExecutor(self._workers, context, _begin_worker, begins)
        return self._pool.submit, _some


def _some(running: list[Future[Any]]) -> tuple[list[Any], list[Any]]:
    done, rest = wait(running, return_when=FIRST_COMPLETED)
    return [future.result() for future in done], list(rest)


def _call(work: Callable[[Any], Any], job: Any) -> Any:
    return work(job)


def _begin_worker(name: str, begin: Callable[[], object] | None) -> None:
    die_with_parent(name)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    if begin is not None:
        begin()


def _connected(address: str, workers: int) -> Any:
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise RuntimeFault(
            '--ray needs the ray package; run .venv/bin/pip install -c requirements.lock -e ".[ray]"'
        ) from None
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "include_dashboard": False}
    try:
        if address == "local":
            ray.init(num_cpus=workers, **quiet)
        else:
            _reach(address)
            ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise RuntimeFault(f"--ray {address}: {' '.join(str(error).split()[:20])}") from None
    return ray


def _reach(address: str) -> None:
    """See whether a cluster answers at all: Ray itself would try for minutes. Raises OSError, or ValueError for no
    HOST:PORT.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    socket.create_connection((host, int(port)), _CONNECT_S).close()
