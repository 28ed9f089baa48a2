"""Sessions are read by processes of their own: never on the loop that carries HOLD and the heartbeat of whoever steers.
Called by app.py, which asks through `Reader`; each is started by it as `python -m runtime.console.reading FOLDER`.

A session has a process for itself: one that is damaged, endless or huge costs time and memory of nobody who looks at another.
One request at a time over two pipes: JSON there, bytes back, each behind its length. A process ends with the console, when it
takes too long, and when others are asked for; it comes back when it is asked again.
"""

import asyncio
import json
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from runtime.console.recorded import SessionIndex
from runtime.console.source import Picture
from runtime.errors import RuntimeFault, SessionError
from runtime.host import remedies
from runtime.host.next_step import typed

_LENGTH, _PICTURE = struct.Struct("<I"), struct.Struct("<qq")
_FOUND, _NONE, _REFUSED = b"+", b"0", b"-"
_NICE = 10  # chosen: half of the 19 there are, so that reading a session never delays the robot's processes
_MOST_PROCESSES = 3  # chosen: two sessions side by side, and one more
_SHARE_OF_MACHINE = (
    4  # of the machine's memory each may take so much; chosen, so that all of them leave the robot's its own
)
_LEAST_BYTES = 1 << 30  # chosen: 40 minutes of a session
_LONGEST_S, _LONGEST_S_OF_BYTE = 60.0, 100e-9
"""Until a session's first answer, and for each of its bytes. Measured: 23 s a GB; four times that for a slow machine."""
_PIPE_BYTES = 1 << 16  # at once; as much as a pipe of Linux holds


class Reader:
    """Asks those processes. Every method raises SessionError for a session that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._index = SessionIndex(folder)
        self._open: OrderedDict[str, _Process] = OrderedDict()

    async def about(self, name: str) -> str:
        """JSON of a session's beginning, end and marks; read again where it has grown."""
        return (await self._ask("about", name)).decode()

    async def joints(self, name: str) -> str:
        """JSON of all joints over the whole session."""
        return (await self._ask("joints", name)).decode()

    async def moment(self, name: str, at_ns: int | None) -> dict[str, str]:
        """The moment of a session at a time, as Source gives it; None: its last."""
        return json.loads(await self._ask("moment", name, at_ns))

    async def picture(self, name: str, camera: str, at_ns: int | None) -> Picture | None:
        """A camera's picture in a session at a time, as Source gives it; None: its last."""
        reported = await self._ask("picture", name, camera, at_ns)
        if not reported:
            return None
        number, capture_ns = _PICTURE.unpack_from(reported)
        return Picture(number, capture_ns, reported[_PICTURE.size :])

    def close(self) -> None:
        """End the processes; whoever waits for their answers gets none."""
        for process in self._open.values():
            process.close()
        self._open.clear()

    @property
    def processes(self) -> list[int]:
        """The ids of those that live, the last asked one last."""
        return [pid for process in self._open.values() if (pid := process.pid) is not None]

    async def _ask(self, *request: Any) -> bytes:
        process = self._of(str(request[1]))
        return await asyncio.get_running_loop().run_in_executor(process.thread, process.ask, request)

    def _of(self, name: str) -> "_Process":
        """The process of a session, made where there is none; the one that was asked longest ago makes room for it."""
        if name not in self._open:
            self._open[name] = _Process(self._index.folder, self._index.place(name))
        self._open.move_to_end(name)
        while len(self._open) > _MOST_PROCESSES:
            self._open.popitem(last=False)[1].close()
        return self._open[name]


class _Process:
    """The process of one session, and the thread that waits for its answers, one after the other."""

    def __init__(self, folder: Path, session: Path) -> None:
        self._folder, self._session = folder, session
        self._process: subprocess.Popen[bytes] | None = None
        self.thread = ThreadPoolExecutor(1, "reading")
        self._closed = False

    @property
    def pid(self) -> int | None:
        """Its id; None while it does not live."""
        return None if self._process is None else self._process.pid

    def ask(self, request: tuple[Any, ...]) -> bytes:
        """The answer to a request; called in its thread. Raises SessionError."""
        if self._closed:
            raise SessionError(f"{request[1]}: closed because {_MOST_PROCESSES} newer sessions are open; open it again")
        try:
            self._process = process = self._process or self._started()
        except OSError as error:  # too many open files, no memory
            raise SessionError(f"{request[1]}: cannot be read: {remedies.line(error)}") from None
        assert process.stdin is not None and process.stdout is not None
        longest_s = _longest_s(self._session)
        try:
            _send(process.stdin, json.dumps(request).encode())
            answer = _receive(process.stdout, time.monotonic() + longest_s)
        except TimeoutError:
            self._end()
            raise SessionError(
                f"{request[1]}: no answer within {longest_s:.0f} s; {_elsewhere(self._session)}"
            ) from None
        except OSError:
            answer = None
        if answer is None:
            self._end()
            raise SessionError(f"{request[1]}: its reading process ended, perhaps out of memory; open it again")
        if answer[:1] == _REFUSED:
            raise SessionError(answer[1:].decode())
        return answer[1:]

    def close(self) -> None:
        """End it without waiting for an answer; whoever waits for one gets none."""
        self._closed = True
        if self._process is not None:
            self._process.kill()
        self.thread.submit(self._end)
        self.thread.shutdown(wait=False)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()

    def _started(self) -> "subprocess.Popen[bytes]":
        line = [sys.executable, "-m", "runtime.console.reading", str(self._folder)]
        pipe = subprocess.PIPE
        return subprocess.Popen(line, stdin=pipe, stdout=pipe, bufsize=0, start_new_session=True)


class ReadSession:
    """One session as a Source for the sockets, at any of its moments."""

    live = False

    def __init__(self, reader: Reader, name: str) -> None:
        self._reader, self._name = reader, name

    def now_ns(self) -> int:
        return 0

    async def moment(self, at_ns: int | None = None) -> dict[str, str]:
        return await self._reader.moment(self._name, at_ns)

    async def picture(self, camera: str, at_ns: int | None = None) -> Picture | None:
        return await self._reader.picture(self._name, camera, at_ns)


def _elsewhere(session: Path) -> str:
    """How a session is shown that is too long or too large for this process."""
    return f"run {typed('replay', session, '--paced', '--console')}"


def _check(session: Path) -> str:
    """How to find out whether a session is damaged."""
    return f"check it with {typed('replay', session, '--lockstep')}"


def _longest_s(session: Path) -> float:
    """How long reading a session may take."""
    size_bytes = 0
    with suppress(OSError):  # it has just been removed
        size_bytes = sum(file.lstat().st_size for file in session.glob("session*.mcap"))
    return _LONGEST_S + _LONGEST_S_OF_BYTE * size_bytes


def _send(pipe: IO[bytes], data: bytes) -> None:
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        view = view[pipe.write(view) or 0 :]
    pipe.flush()


def _receive(pipe: IO[bytes], deadline: float | None = None) -> bytes | None:
    """The next message of an unbuffered pipe; None when the other end is closed. Raises TimeoutError."""
    head = _read(pipe, _LENGTH.size, deadline)
    return None if head is None else _read(pipe, _LENGTH.unpack(head)[0], deadline)


def _read(pipe: IO[bytes], size: int, deadline: float | None) -> bytes | None:
    """So many bytes; None where the pipe ends before."""
    readable = select.poll()  # not select: the console may have more than 1024 descriptors
    readable.register(pipe, select.POLLIN)
    data = bytearray()
    while len(data) < size:
        remaining_ms = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
        if not readable.poll(remaining_ms):
            raise TimeoutError
        part = pipe.read(min(_PIPE_BYTES, size - len(data)))
        if not part:
            return None
        data += part
    return bytes(data)


def _answer(index: SessionIndex, call: str, name: str, *rest: Any) -> bytes:
    """The answer to a request, its first byte telling whether something was found. Raises SessionError."""
    signal.alarm(int(_longest_s(index.place(name))))  # it ends by itself, also when whoever asked has
    recorded = index.open(name) if call == "about" else index.opened(name)
    match call:
        case "about":
            return _FOUND + json.dumps(recorded.about()).encode()
        case "joints":
            return _FOUND + recorded.joints().encode()
        case "moment":
            return _FOUND + json.dumps(recorded.moment(*rest)).encode()
        case "picture":
            found = recorded.picture(*rest)
            return _NONE if found is None else _FOUND + _PICTURE.pack(found.number, found.capture_ns) + found.jpeg
        case _:
            raise AssertionError(call)


def _limit_data() -> int:
    """Let this process have a share of the machine's memory; files that are only mapped do not count. Returns it, in bytes."""
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most_bytes = max(_LEAST_BYTES, machine_bytes // _SHARE_OF_MACHINE)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes if hard < 0 else min(most_bytes, hard), hard))
    return most_bytes


def main(folder: Path) -> None:
    """Answer requests from the standard input until it is closed."""
    os.nice(_NICE)
    most_bytes = _limit_data()
    index = SessionIndex(folder, keep=1)
    requests = os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may come between the answers
    while (request := _receive(requests)) is not None:
        call, name, *rest = json.loads(request)
        try:
            answer = _answer(index, call, name, *rest)
        except RuntimeFault as error:
            answer = _REFUSED + str(error).encode(errors="replace")
        except MemoryError:
            index = SessionIndex(folder, keep=1)
            answer = (
                _REFUSED
                + f"{name}: needs more than {most_bytes >> 20} MiB to be shown; {_elsewhere(index.folder / name)}".encode()
            )
        except Exception as error:  # noqa: BLE001  the process's edge: whatever is in a file is no reason to end
            answer = (
                _REFUSED
                + f"{name}: cannot be shown ({type(error).__name__}); {_check(index.folder / name)}".encode(
                    errors="replace"
                )
            )
        finally:
            signal.alarm(0)
        _send(answers, answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
