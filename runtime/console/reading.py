"""Sessions are read by a process of their own: never on the loop that carries HOLD and the heartbeat of whoever steers.
Called by app.py, which asks through `Reader`; started by it as `python -m runtime.console.reading FOLDER`.

One request at a time over two pipes: JSON there, bytes back, each behind its length. What the process needs of memory and time
(it reads a session whole) is nobody else's; it ends with the console, and comes back when it died.
"""

import asyncio
import json
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any

from runtime.console.recorded import SessionIndex
from runtime.console.source import Picture
from runtime.errors import SessionError

_LENGTH, _PICTURE = struct.Struct("<I"), struct.Struct("<qq")
_FOUND, _NONE, _REFUSED = b"+", b"0", b"-"
_NICE = 10  # chosen: half of the 19 there are, so that reading a session never delays the robot's processes


class Reader:
    """Asks that process. Every method raises SessionError for a session that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._one = threading.RLock()  # an answer that does not come closes, too

    async def about(self, name: str) -> str:
        """JSON of a session's beginning, end and marks; read again where it has grown."""
        return (await self._ask("about", name)).decode()

    async def joints(self, name: str) -> str:
        """JSON of all joints over the whole session."""
        return (await self._ask("joints", name)).decode()

    async def moment(self, name: str, at_ns: int | None) -> str:
        """The moment of a session at a time, as Source gives it; None: its last."""
        return (await self._ask("moment", name, at_ns)).decode()

    async def picture(self, name: str, camera: str, at_ns: int | None) -> Picture | None:
        """A camera's picture in a session at a time, as Source gives it; None: its last."""
        reported = await self._ask("picture", name, camera, at_ns)
        if not reported:
            return None
        number, capture_ns = _PICTURE.unpack_from(reported)
        return Picture(number, capture_ns, reported[_PICTURE.size :])

    def close(self) -> None:
        """End the process; whoever waits for its answer gets none."""
        if self._process is not None:
            self._process.kill()
        with self._one:
            if self._process is not None:
                self._process.communicate()
                self._process = None

    async def _ask(self, *request: Any) -> bytes:
        return await asyncio.to_thread(self._asked, request)

    def _asked(self, request: tuple[Any, ...]) -> bytes:
        with self._one:
            self._process = process = self._process or self._started()
            assert process.stdin is not None and process.stdout is not None
            try:
                _send(process.stdin, json.dumps(request).encode())
                answer = _receive(process.stdout)
            except OSError:
                answer = None
            if answer is None:
                self.close()
                raise SessionError(f"{request[1]}: its reading process ended, perhaps out of memory; open it again")
        if answer[:1] == _REFUSED:
            raise SessionError(answer[1:].decode())
        return answer[1:]

    def _started(self) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-m", "runtime.console.reading", str(self._folder)]
        return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)


class ReadSession:
    """One session as a Source for the sockets, at any of its moments."""

    live = False

    def __init__(self, reader: Reader, name: str) -> None:
        self._reader, self._name = reader, name

    async def moment(self, at_ns: int | None = None) -> str:
        return await self._reader.moment(self._name, at_ns)

    async def picture(self, camera: str, at_ns: int | None = None) -> Picture | None:
        return await self._reader.picture(self._name, camera, at_ns)


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes | None:
    """The next message of a pipe; None when the other end is closed."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length)
    return data if len(data) == length else None


def _answer(index: SessionIndex, call: str, name: str, *rest: Any) -> bytes:
    """The answer to a request, its first byte telling whether something was found. Raises SessionError."""
    recorded = index.open(name) if call == "about" else index.opened(name)
    match call:
        case "about":
            return _FOUND + json.dumps(recorded.about()).encode()
        case "joints":
            return _FOUND + recorded.joints().encode()
        case "moment":
            return _FOUND + recorded.moment(*rest).encode()
        case "picture":
            found = recorded.picture(*rest)
            return _NONE if found is None else _FOUND + _PICTURE.pack(found.number, found.capture_ns) + found.jpeg
        case _:
            raise AssertionError(call)


def main(folder: Path) -> None:
    """Answer requests from the standard input until it is closed."""
    os.nice(_NICE)
    index = SessionIndex(folder)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may come between the answers
    while (request := _receive(sys.stdin.buffer)) is not None:
        try:
            answer = _answer(index, *json.loads(request))
        except SessionError as error:
            answer = _REFUSED + str(error).encode()
        _send(answers, answer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
