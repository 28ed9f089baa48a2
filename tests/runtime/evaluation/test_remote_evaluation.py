"""A policy server on the virtual clock, and the command's line for it. Called by pytest."""

from typing import Any

import numpy as np
import pytest
from policy_server_rig import UNSAID, ForeignServer, chunk
from tiny_checkpoint import PICTURES

from drivers.cobot_magic import CAMERAS
from drivers.sim.camera_renderer import Eye
from drivers.sim.physics import Physics
from drivers.sim.tasks import shifted_task
from runtime.config.loading import load_settings
from runtime.errors import SettingsError
from runtime.evaluation import command
from runtime.evaluation.flags import EVALUATE
from runtime.evaluation.latencies import Latencies
from runtime.evaluation.world import run
from runtime.policy.opening import open_policy
from runtime.policy.patient_policy import PatientPolicy
from runtime.policy.server_door import asked

RAD_S = 0.2
LIGHT = ["--task", "pick_apple_messy", *(word for pair in PICTURES.items() for word in pair)]


def turning(seen: dict[str, Any]) -> bytes:
    """Both first joints turn at a steady pace from where they are."""
    actions = np.tile(seen["state"], (25, 1))
    actions[:, [0, 7]] += RAD_S * 0.04 * np.arange(1, 26, dtype=np.float32)[:, None]
    return chunk(actions)


def test_it_leads_the_arms_of_a_scene() -> None:
    with ForeignServer(turning) as server:
        settings = asked(load_settings(["--policy.server", server.address, *UNSAID, *LIGHT]))
        task = shifted_task(settings.task, settings.shift, 0)
        body = Physics(task)
        body.reset(3)
        eyes = {name: Eye(name, task, 64, 48, place) for place, name in enumerate(CAMERAS)}
        before = body.arms()[:, 0, 0].copy()
        policy = open_policy(settings)
        try:
            outcome = run(settings, policy, Latencies(), body, eyes, "turn", 3, 1.5)
        finally:
            for eye in eyes.values():
                eye.close()
            assert isinstance(policy.fast, PatientPolicy)
            policy.fast.close()
    assert (outcome.fault, outcome.conditions) == ("", 0) and outcome.runs == len(server.seen) >= 8
    assert {seen["prompt"] for seen in server.seen} == {"turn"}
    led = body.arms()[:, 0, 0] - before
    assert (led > 0.5 * RAD_S).all() and (led < 2 * RAD_S).all()


def test_the_server_is_asked_once_for_all_tasks() -> None:
    with ForeignServer(turning) as server:
        given = EVALUATE.read(["--policy.server", server.address, *UNSAID, "--task", "all"])[1]
        given = command._with_what_the_server_says(given)  # pyright: ignore[reportPrivateUsage]
        assert server.clients == 1
    for task in ("block_handover", "pick_apple_messy"):
        wire = command._settings(given, (), task).policy.wire  # pyright: ignore[reportPrivateUsage]
        assert (wire.dt_s, wire.prefix, wire.cameras.head) == (0.04, False, "cam_high")
    assert command._usual_workers(given) == 1, "many servers serve one client"  # pyright: ignore[reportPrivateUsage]


def test_there_is_no_system2_to_swap() -> None:
    with pytest.raises(SettingsError, match=r"--swap system2: --policy\.server has no System 2"):
        EVALUATE.read(["--policy.server", "ws://127.0.0.1:8000", "--swap", "system2"])
