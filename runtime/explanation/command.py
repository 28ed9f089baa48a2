"""The explain command: `explain.sh SESSION ...` shows where in the pictures a policy found what moves the arms.
Called by runtime/cli.py.
"""

import io
import json
from pathlib import Path
from typing import Any

from runtime.config import output_paths
from runtime.config.loading import changed, settings_from_json
from runtime.config.settings import Settings
from runtime.errors import RuntimeFault, SessionError, SettingsError
from runtime.explanation.flags import EXPLAIN, ExplainFlags
from runtime.host import whole_file
from runtime.host.next_step import say_next
from runtime.host.progress import bar, waiting
from runtime.host.terminal import say
from runtime.process.role import Role
from runtime.session import reader
from runtime.session.reader import Session

STRIP_NAME = "explanation.png"


def main(arguments: list[str]) -> int:
    """Explain every session of the line, write their strips and print one table. Returns 0."""
    flags, given = EXPLAIN.read(arguments)
    sessions = [opened(path, given) for path in flags.sessions]
    places = _places(flags, [session for session, _ in sessions])
    from runtime.explanation import figures  # these load torch
    from runtime.explanation.explained_session import ExplainedSession
    from runtime.explanation.policy import Policies

    explained, policies = list[figures.Explained](), Policies()
    for (session, settings), place in zip(sessions, places, strict=True):
        made = ExplainedSession(session, settings, flags.at, flags.moments)
        with waiting("opening the policy"):
            policy = policies.opened(settings)
        with bar(len(made.chunks), "explain", "moment", leave=False) as shown:
            strip, found = made.run(policy, lambda bar=shown: bar.update(1))
        data = io.BytesIO()
        strip.save(data, "PNG")
        _write(place, data.getvalue())
        explained.append(found)
        if found.unknown:
            say(f"video2act: {found.session}: {found.unknown}; shares on it are left out")
    say("\n".join(figures.table(explained)))
    if flags.json_file is not None:
        _write(flags.json_file, (json.dumps(figures.to_json(explained), indent=1) + "\n").encode())
    for place in places:
        say(f"video2act: written to {place}")
    say_next("see other moments", "explain", sessions[0][0].path.parent, "--at", f"{explained[0].columns[0].at_s:.1f}")
    return 0


def opened(path: Path, given: dict[str, Any]) -> tuple[Session, Settings]:
    """A session with the settings that it is explained with. Raises SessionError, or SettingsError for flags."""
    with waiting(f"reading {path}"):
        session = reader.opened(path, whole=True)
    if "settings" not in session.metadata:
        raise SessionError(f"{session.path}: holds no settings; give a session that video2act recorded")
    role = Role.of_session(session.metadata)
    if not role.by_policy:
        raise SessionError(f"{session.path}: no policy ran in it; give a session of robot.sh")
    try:
        recorded = settings_from_json(session.metadata["settings"])
    except SettingsError as error:
        raise SessionError(
            f"{session.path}: its settings are of another version ({error}); use the one that recorded it"
        ) from None
    return session, changed(recorded, given)


def _places(flags: ExplainFlags, sessions: list[Session]) -> list[Path]:
    """Where the strips go, each to a file of its own. Raises RuntimeFault where one cannot be written."""
    names = [session.path.resolve().parent.name for session in sessions]
    places: list[Path] = []
    for number, (session, name) in enumerate(zip(sessions, names, strict=True)):
        again = f"-{names[:number].count(name) + 1}" if name in names[:number] else ""
        place = session.path.parent / STRIP_NAME if flags.out is None else flags.out / f"{name}{again}.png"
        places.append(place)
    try:
        if flags.out is not None:
            output_paths.make_folder(flags.out, "--out")
        for place in places:
            output_paths.check_writable(place, "--out")
    except SettingsError as error:
        hint = "" if flags.out is not None else "; give --out DIR"
        raise RuntimeFault(f"{error}{hint}") from None
    return places


def _write(place: Path, data: bytes) -> None:
    try:
        whole_file.write(place, data)
    except OSError as error:
        raise RuntimeFault(f"{place}: {error.strerror}; give another place") from None
