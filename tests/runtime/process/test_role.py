"""A run's role: what our own commands decide about it, beside its settings. Called by pytest."""

import json
from pathlib import Path

import pytest

from runtime.config.loading import load_settings, settings_to_json
from runtime.process.base import RunFile
from runtime.process.processes import TABLE
from runtime.process.role import METADATA, POLICY, Role

SETTINGS = load_settings([])


def running(role: Role, *flags: str) -> set[str]:
    settings = load_settings(list(flags))
    return {row.module for row in TABLE if row.runs(settings, role)}


def test_who_runs_is_decided_by_the_role() -> None:
    systems = {"runtime.systems.system1", "runtime.systems.system2", "runtime.policy.text_encoder"}
    assert systems < running(POLICY)
    assert systems.isdisjoint(running(Role(recording=True))) and systems.isdisjoint(running(Role(tracks="a session")))
    assert "runtime.replay.tracker" in running(Role(tracks="a session"))
    assert "runtime.devices.leader_emulator" in running(Role(recording=True), "--can")
    assert "runtime.devices.leader_emulator" not in running(POLICY, "--can")


def test_a_policy_server_takes_the_place_of_system2_and_text() -> None:
    modules = running(POLICY, "--policy.server", "ws://127.0.0.1:8000")
    assert "runtime.systems.system1" in modules
    assert modules.isdisjoint({"runtime.systems.system2", "runtime.remote.robot_side", "runtime.policy.text_encoder"})


def test_it_travels_with_the_run(tmp_path: Path) -> None:
    role = Role(recording=True, unfit="led by hand")
    RunFile(settings=settings_to_json(SETTINGS), session=tmp_path, revision="", role=role).save(tmp_path)
    assert RunFile.load(tmp_path).role == role


@pytest.mark.parametrize("role", [POLICY, Role(tracks="s"), Role(recording=True, unfit="x")])
def test_a_session_keeps_it(role: Role) -> None:
    assert Role.of_session({METADATA: role.model_dump_json(), "settings": settings_to_json(SETTINGS)}) == role


@pytest.mark.parametrize(
    ("stored", "role"),
    [
        ({}, POLICY),
        ({"follow": "that one", "arms": {"unfit": ""}}, Role(tracks="that one")),
        ({"arms": {"masters": "shared", "unfit": "led by hand"}}, Role(recording=True, unfit="led by hand")),
    ],
)
def test_a_former_session_has_it_among_its_settings(stored: dict[str, object], role: Role) -> None:
    assert Role.of_session({"settings": json.dumps(stored)}) == role
