"""A path that leads nowhere is refused while flags are read, before a command loads what takes seconds. Called by pytest."""

import re
from pathlib import Path

import pytest

from runtime.cli import COMMANDS, flags_of
from runtime.errors import SettingsError

GOLDEN = str(Path(__file__).parents[1] / "golden" / "schema-3")
REFUSED = [
    ("robot --profile {nowhere}", "--profile"),
    ("robot --policy.checkpoint {nowhere}", "--policy.checkpoint"),
    ("robot --policy.published.head {nowhere}", "--policy.published.head"),
    ("robot --policy.server ws://localhost:1 --policy.wire.token {nowhere}", "--policy.wire.token"),
    ("evaluate --policy.server wss://h:1 --policy.wire.certificate {nowhere}", "--policy.wire.certificate"),
    ("robot --console.certificate {nowhere}", "--console.certificate"),
    ("robot --system2.remote tcp://0.0.0.0:5760 --system2.keys {nowhere}", "--system2.keys"),
    ("robot --json {nowhere}/x.json", "--json"),
    ("robot --sessions {file}", "--sessions"),
    ("record --json {nowhere}/x.json", "--json"),
    ("record --sessions {file}/below", "--sessions"),
    ("doctor --json {nowhere}/x.json", "--json"),
    ("evaluate --policy.checkpoint {nowhere}", "--policy.checkpoint"),
    ("evaluate --bench {nowhere}", "--bench"),
    ("evaluate --compare {nowhere} {file}", "--compare"),
    ("evaluate --bench {here}", "--bench"),
    ("evaluate --data {nowhere}", "--data"),
    ("evaluate --video {nowhere}", "--video"),
    ("evaluate --video {here}", "--video"),
    ("evaluate --json {nowhere}/x.json", "--json"),
    ("evaluate --film 1 --films {file}", "--films"),
    ("evaluate --sweep ratio --out {file}", "--out"),
    ("evaluate --sweep ratio --cache {file}", "--cache"),
    ("evaluate --sweep ratio --variants 1:3", "--variants"),
    ("evaluate --sweep features --data {here}", "--sweep"),
    ("influence --data {nowhere}", "--data"),
    ("influence --json {nowhere}/x.json", "--json"),
    ("influence --policy.checkpoint {nowhere}", "--policy.checkpoint"),
    ("train video --data {nowhere} --out {here}/out", "--data"),
    ("train video --data {here} --out {file}", "--out"),
    ("train video --data {here} --out {here}/out --cache {file}", "--cache"),
    ("train action --data {here} --out {here}/out --video {nowhere}", "--video"),
    ("train action --data {here} --out {here}/out --from {nowhere}", "--from"),
    (
        "train action --data {here} --out {here}/out --policy.published.head.repo {nowhere}",
        "--policy.published.head.repo",
    ),
    (
        "train action --size video-policy-full --data {here} --out {here}/out --policy.published.video_unet.repo {nowhere}",
        "--policy.published.video_unet.repo",
    ),
    ("data check {nowhere}", "FOLDERS"),
    ("data convert {here} --out {file}", "--out"),
    ("data check {here} --picture {nowhere}/x.png", "--picture"),
    ("data check {here} --json {nowhere}/x.json", "--json"),
    ("demos --out {file}", "--out"),
    ("weights --checkpoint {nowhere}", "--checkpoint"),
    ("weights --transformer {nowhere}", "--transformer"),
    ("push {nowhere} lab/cups", "CHECKPOINT"),
    ("instruct --policy.checkpoint {nowhere} words", "--policy.checkpoint"),
    ("instruct --policy.published.text {nowhere} words", "--policy.published.text"),
    ("system2 --robot tcp://127.0.0.1:5760 --keys {nowhere}", "--keys"),
    ("system2 --robot tcp://127.0.0.1:5760 --keys {here} --policy.checkpoint {nowhere}", "--policy.checkpoint"),
    ("replay {golden} --lockstep --policy.checkpoint {nowhere}", "--policy.checkpoint"),
    ("replay {golden} --what-if --policy.checkpoint {nowhere}", "--policy.checkpoint"),
    ("replay {golden} --what-if --ratio 2 --out {file}", "--out"),
    ("replay {golden} --on-robot --json {nowhere}/x.json", "--json"),
    ("replay {nowhere} --on-robot", "SESSION"),
    ("export {golden} --to hdf5 --out {file}", "--out"),
    ("trace {golden} --out {nowhere}/x.json", "--out"),
    ("explain {golden} --policy.checkpoint {nowhere}", "--policy.checkpoint"),
    ("explain {golden} --out {file}", "--out"),
    ("explain {golden} --json {nowhere}/x.json", "--json"),
    ("serve --certificate {nowhere}", "--certificate"),
    ("serve --policy.checkpoint {nowhere}", "--policy.checkpoint"),
    ("console --sessions {nowhere}", "--sessions"),
    ("console --sessions {here} --certificate {nowhere}", "--certificate"),
    ("certificate {file} name", "FOLDER"),
    ("keys {file}", "FOLDER"),
    ("bench --json {nowhere}/x.json", "--json"),
    ("faults --json {nowhere}/x.json", "--json"),
    ("faults --sessions {file}", "--sessions"),
]
QUICK = {"replay SESSION", "export SESSIONS", "trace SESSION", "explain SESSIONS", "replay --folder", "evaluate FILES"}
"""Read by the command itself, which loads nothing for it; `evaluate` names its files as --compare."""


@pytest.mark.parametrize(("line", "flag"), REFUSED)
def test_what_is_not_there_is_refused_while_flags_are_read(line: str, flag: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    places = {"here": tmp_path, "nowhere": tmp_path / "nowhere", "file": tmp_path / "file", "golden": GOLDEN}
    name, *words = line.format_map(places).split()
    with pytest.raises(SettingsError) as caught:
        flags_of(name).read(words)
    assert re.match(rf"{flag}\b", str(caught.value)), caught.value
    assert "; " in str(caught.value) or "must be" in str(caught.value), "the remedy"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"], "nothing was made"


def test_every_path_that_a_command_takes_is_in_the_table() -> None:
    tried = {f"{line.split()[0]} {flag}" for line, flag in REFUSED} | QUICK
    for name in COMMANDS:
        command = flags_of(name)
        for own, info in command.flags.model_fields.items():
            if "Path" not in str(info.annotation):
                continue
            alias = str(info.validation_alias or own)
            asked = own.upper() if any("Positional" in str(note) for note in info.metadata) else f"--{alias}"
            assert f"{name} {asked}" in tried, "add a row above, or refuse the path early"
