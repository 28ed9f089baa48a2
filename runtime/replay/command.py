"""The replay command: `replay.sh SESSION --lockstep | --paced | --what-if FLAGS | --on-robot`.
Called by runtime/cli.py.

With --what-if settings of robot.sh follow: --ratio 4, --trajectory.blend none, --policy.checkpoint DIR, --safety... With
--on-robot too: --profile cobot_magic, else it is the session's own robot. With --lockstep --policy.checkpoint DIR says where
the session's policy is now.
"""

import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from runtime.config.loading import changed, settings_from_json
from runtime.errors import RuntimeFault, SettingsError
from runtime.host.next_step import say_next
from runtime.host.processors import usable_processors
from runtime.host.progress import bar, waiting
from runtime.host.run_folder import REPLAY_PREFIX, MemoryFolder
from runtime.host.terminal import say, unread_within
from runtime.messaging.socket_topic import LONGEST_PATH, socket_path
from runtime.messaging.topics import TOPICS
from runtime.process.processes import PROCESSES
from runtime.replay.flags import REPLAY, ReplayFlags, Stepping, names
from runtime.session import reader
from runtime.session.reader import Session


def main(arguments: list[str]) -> int:
    """Read the session, say what is damaged, replay it. Status 0 only if everything was there and identical."""
    options, given = REPLAY.read(arguments)
    if options.folder is not None:
        _check_folder(options.folder)
    if options.on_robot:
        from runtime.replay import on_robot

        return on_robot.main(options.session, options.episode, given)
    with waiting(f"reading {options.session}"):
        session = reader.opened(options.session, whole=not options.what_if and not options.paced)
    if options.what_if:
        return _what_if(session, options.out, given)
    return _paced(session, options) if options.paced else _lockstep(session, options.only, given)


def _lockstep(session: Session, only: Stepping | None, given: dict[str, Any]) -> int:
    from runtime.replay import lockstep

    cores = usable_processors()
    with bar(
        lockstep.steps((logged.topic for logged in session.messages), only), "replay", "step", leave=False
    ) as shown:
        report = lockstep.replay(session, lambda settings: changed(settings, given), shown.update, only, cores)
    if not report.counts:
        raise RuntimeFault(
            f"{session.path}: holds no steps of a live run; give a session of robot.sh, not one of record.sh or --what-if"
        )
    say(f"{'message':<14}{'compared':>10}{'differ':>8}{'not comparable':>16}")
    for kind, count in sorted(report.counts.items()):
        say(f"{kind:<14}{count.compared:>10}{count.differing:>8}{count.not_comparable:>16}")
    for count in report.counts.values():
        if count.first_difference:
            say(f"first difference: {count.first_difference}")
    for line in report.gap_lines():
        say(line)
    for line in [] if report.alike or only == "arms" else _arithmetic(session, given):
        say(line)
    damaged = bool(session.damage.lost_chunks or session.damage.bad_messages)
    same = (report.alike if only else report.identical) and not damaged
    say(
        _verdict(session, report.reworded)
        if same
        else "NOT identical"
        if not damaged
        else "not comparable: the session is damaged"
    )
    _say_what_if(session)
    return 0 if same else 1


def _arithmetic(session: Session, given: dict[str, Any]) -> Iterator[str]:
    """Of each system that was computed otherwise than it would be here, a line: its last bits need not be the same then."""
    from runtime.policy import arithmetic
    from runtime.policy.networks import open_checkpoint

    settings = changed(settings_from_json(session.metadata["settings"]), given)
    if settings.policy.server:  # its chunks were inputs
        return
    checkpoint = open_checkpoint(settings)
    for name, system in (("system1", settings.system1), ("system2", settings.system2)):
        recorded = session.attachments.get(f"{name}{arithmetic.SUFFIX}")
        apart = arithmetic.differences(recorded, arithmetic.of(system, checkpoint)) if recorded is not None else ""
        if apart:
            yield f"{name} was computed with other software, settings or hardware, so numbers may differ by rounding: {apart}"


def _verdict(session: Session, reworded: int) -> str:
    """In what a replay equals its session: another revision may word sentences otherwise."""
    if not reworded:
        return "identical, byte for byte"
    by = session.metadata.get("revision") or "an unknown revision"
    return f"identical, byte for byte, except the wording of {reworded} messages by {by}"


def _say_what_if(session: Session) -> None:
    if settings_from_json(session.metadata["settings"]).policy.server:  # it has no System 2
        say_next(
            "see the effect of another blend", "replay", session.path.parent, "--what-if", "--trajectory.blend", "none"
        )
        return
    say_next("see the effect of another ratio", "replay", session.path.parent, "--what-if", "--ratio", "4")


def _paced(session: Session, options: ReplayFlags) -> int:
    from runtime.replay.paced import PacedReplay

    with nullcontext(options.folder) if options.folder is not None else MemoryFolder(REPLAY_PREFIX) as folder:
        paced = PacedReplay(session, folder)
        say(f"video2act: publishing {session.path} in {folder}")
        try:
            if options.console:
                from runtime.replay.console import show

                show(paced, session, folder, options.speed)
                return 0
            say(f"{paced.run(options.speed, unread_within)} messages published")
            _say_what_if(session)
        except KeyboardInterrupt:
            say("stopped")
        finally:
            paced.close()
    return 0


def _what_if(session: Session, out: Path | None, given: dict[str, Any]) -> int:
    from runtime.policy.opening import open_policy
    from runtime.replay import side_by_side, what_if, written_session
    from runtime.replay.stored_embeddings import StoredEmbeddings

    with waiting("sorting messages"):
        origin = what_if.Origin.of(session)
    settings = changed(origin.settings, given)
    origin.check(settings, names(given))
    out = out or _beside(session.path.parent)
    if out.exists():
        raise SettingsError(f"--out {out}: already exists; give another")
    with waiting("opening the policy"):
        policy = None if settings.policy.server else open_policy(settings)
    with tempfile.TemporaryDirectory(prefix="video2act-replay-") as folder:
        stored = StoredEmbeddings(session, Path(folder))
        with bar(100, "what if", "%", leave=False) as shown:
            reported = lambda share: shown.update(round(100 * share) - shown.n)  # noqa: E731
            messages = what_if.WhatIf(origin, settings, policy, stored, list(names(given))).run(reported)
    with waiting(f"writing {out}"):
        after = written_session.write(session, settings, messages, out)
    recorded = [(topic, message) for (topic, _, _), message in origin.index.messages.items()]
    before = written_session.tabled(origin.settings, recorded, session.path.parent.name)
    say("\n".join(side_by_side.compared(before, after)))
    say(side_by_side.departed(origin.index, messages))
    say(f"video2act: written to {out}")
    say_next("compare both", "console", "--sessions", out.parent)
    return 0


def _beside(folder: Path) -> Path:
    """A folder beside the session that does not exist yet: NAME-what-if, NAME-what-if-2 and so on."""
    folder = folder.resolve()
    path, count = folder.with_name(f"{folder.name}-what-if"), 1
    while path.exists():
        count += 1
        path = folder.with_name(f"{folder.name}-what-if-{count}")
    return path


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise RuntimeFault(f"--folder {folder!s:.60}: does not exist; create it first")
    senders = [(row, name) for row in TOPICS.values() for name in row.senders(PROCESSES)]
    longest = max(len(str(socket_path(folder, row, name))) for row, name in senders)
    if longest > LONGEST_PATH:
        raise RuntimeFault(
            f"--folder {folder!s:.60}...: {longest - LONGEST_PATH} characters too long for a socket; give a shorter path"
        )
