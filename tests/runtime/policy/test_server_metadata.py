"""What a policy server says of itself, what flags add, and what is refused. Called by pytest."""

from typing import Any

import pytest

from models.config.policy import JOINT_LAYOUT
from runtime.config.loading import changed, load_settings, public_settings_json, settings_from_json, settings_to_json
from runtime.config.policy import policy_id, policy_needs
from runtime.errors import RuntimeFault
from runtime.policy import fit
from runtime.policy.server_metadata import SHARES_LAYOUT, completed, disagreement, read

SERVER = ("--policy.server", "ws://127.0.0.1:8000")
OURS: dict[str, Any] = {
    "policy": "small", "cameras": ["head", "left_wrist", "right_wrist"], "state": JOINT_LAYOUT, "action_horizon": 64,
    "dt_s": 1 / 30, "actions": "absolute", "pictures": "any", "takes": ["prefix"],
}  # fmt: skip
UNSAID = {
    "--policy.wire.dt_s": "0.02", "--policy.wire.grippers": "share", "--policy.wire.frame": "relative",
    "--policy.wire.pictures": "224x224", "--policy.wire.cameras.head": "cam_high",
}  # fmt: skip


def flags(without: str = "", **changes: str) -> list[str]:
    given = {**UNSAID, **{f"--policy.wire.{name}": value for name, value in changes.items()}}
    return [*SERVER, *(word for name, value in given.items() if name != without for word in (name, value))]


def test_a_server_that_says_all_needs_no_flag_and_a_run_keeps_it() -> None:
    settings = completed(load_settings(list(SERVER)), OURS)
    assert settings_from_json(settings_to_json(settings)) == settings, "its session knows all that a replay needs"
    needs = policy_needs(settings)
    assert needs.cameras == ("head", "left_wrist", "right_wrist") and (needs.targets, needs.dt_s) == (64, 1 / 30)
    assert (needs.instruction, needs.prefix, needs.conditions, needs.windows) == ("text", True, (), ())
    assert fit.mismatches(needs, settings) == []


def test_what_openpis_servers_leave_unsaid_comes_from_flags() -> None:
    settings = completed(load_settings(flags()), {})
    needs = policy_needs(settings)
    assert needs.cameras == ("head",) and (needs.targets, needs.dt_s, needs.prefix) == (128, 0.02, False)
    assert (settings.policy.wire.pictures, settings.policy.wire.prefix) == ("224x224", False)


@pytest.mark.parametrize("flag", UNSAID)
def test_nothing_is_guessed(flag: str) -> None:
    with pytest.raises(RuntimeFault) as caught:
        completed(load_settings(flags(without=flag)), {})
    line = str(caught.value)
    assert flag in line and "\n" not in line and "does not say" in line


def test_a_prefix_needs_the_chunks_length() -> None:
    with pytest.raises(RuntimeFault, match=r"does not say targets; give --policy\.wire\.targets N"):
        completed(load_settings(flags()), {"takes": ["prefix"]})
    assert policy_needs(completed(load_settings(flags(targets="20")), {"takes": ["prefix"]})).targets == 20


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "must be a map"),
        ({"dt_s": 0.04}, "says 0.04 for dt_s, but --policy.wire.dt_s is 0.02"),
        ({"dt_s": "fast"}, "its dt_s must be 0.001 to 1, got 'fast'"),
        ({"dt_s": float("nan")}, "its dt_s must be 0.001 to 1"),
        ({"dt_s": True}, "its dt_s must be 0.001 to 1"),
        ({"action_horizon": 129}, "its action_horizon must be 1 to 128"),
        ({"state": "seven joints"}, "its state must be"),
        ({"state": JOINT_LAYOUT}, "says m for grippers"),
        ({"actions": "absolute"}, "says absolute for frame"),
        ({"pictures": [1, 2]}, "its pictures must be"),
        ({"cameras": "head"}, "its cameras must be a list"),
        ({"cameras": ["cam_high", "cam_left_wrist"]}, "says head=cam_high left_wrist=cam_left_wrist for cameras"),
    ],
)
def test_what_contradicts_or_cannot_be_is_one_line(metadata: Any, said: str) -> None:
    with pytest.raises(RuntimeFault) as caught:
        completed(load_settings(flags()), metadata)
    line = str(caught.value)
    assert said in line and "\n" not in line and line.startswith("--policy.server ws://127.0.0.1:8000: ")


def test_cameras_of_unknown_names_are_asked_for() -> None:
    assert "cameras" not in read({"cameras": ["base_0_rgb"]})
    assert read({"cameras": ["cam_high", "right_wrist"]})["cameras"].by_camera() == {
        "head": "cam_high",
        "right_wrist": "right_wrist",
    }


def test_shares_are_told_from_metres() -> None:
    assert read({"state": SHARES_LAYOUT})["grippers"] == "share"


def test_another_policy_behind_the_address_is_noticed() -> None:
    wire = completed(load_settings(list(SERVER)), OURS).policy.wire
    assert disagreement(wire, read(OURS)) == ""
    assert "dt_s" in disagreement(wire, read(OURS | {"dt_s": 0.02}))


def test_a_session_does_not_say_where_the_token_is() -> None:
    settings = load_settings(
        [*SERVER, "--policy.wire.token", "env:SECRET_NAME", "--policy.wire.certificate", "/x/c.pem"]
    )
    kept = settings_from_json(public_settings_json(settings)).policy
    assert kept.server == settings.policy.server and (kept.wire.token, kept.wire.certificate) == ("", None)


def test_its_id_is_that_of_address_and_units_and_not_of_its_key() -> None:
    one = completed(load_settings(list(SERVER)), OURS)
    patient = completed(load_settings([*SERVER, "--policy.wire.reply_s", "5"]), OURS)
    slower = completed(load_settings(list(SERVER)), OURS | {"dt_s": 0.05})
    assert policy_id(one) == policy_id(patient) != policy_id(slower)
    trained, further = (completed(load_settings(list(SERVER)), OURS | {"checkpoint": name}) for name in ("a", "b"))
    assert len({policy_id(one), policy_id(trained), policy_id(further)}) == 3, (
        "else a sweep would take the other's results"
    )


@pytest.mark.parametrize("value", [7, "", "x" * 201, None])
def test_a_checkpoint_is_named_by_a_text(value: object) -> None:
    with pytest.raises(RuntimeFault, match="its checkpoint must be a text of 1 to 200 letters"):
        completed(load_settings(list(SERVER)), OURS | {"checkpoint": value})


@pytest.mark.parametrize("value", [50.5, 0, True, "50"])
def test_a_chunk_has_a_whole_number_of_targets(value: object) -> None:
    with pytest.raises(RuntimeFault, match="its action_horizon must be"):
        completed(load_settings(list(SERVER)), OURS | {"action_horizon": value})


def test_a_server_that_was_not_asked_has_no_needs() -> None:
    with pytest.raises(RuntimeFault, match="was not asked"):
        policy_needs(load_settings(list(SERVER)))


def test_another_policy_takes_the_servers_place_in_a_what_if() -> None:
    settings = completed(load_settings(list(SERVER)), OURS)
    assert settings.policy.checkpoint is None, "the profile's is not run"
    other = changed(settings, {"policy": {"checkpoint": "models/shipped/small"}})
    assert other.policy.server == "" and other.policy.wire == load_settings([]).policy.wire


def test_a_blend_that_it_cannot_continue_is_refused_before_anything_moves() -> None:
    settings = completed(load_settings([*flags(), "--trajectory.blend", "prefix"]), {})
    (line,) = fit.mismatches(policy_needs(settings), settings)
    assert "--trajectory.blend prefix" in line and "give fade" in line
