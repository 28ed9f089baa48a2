"""The codec: golden bytes of every message, strictness field by field, and twenty thousand mutated payloads.

Rewrite the golden files after a wanted change with UPDATE_GOLDEN=1 (and raise SCHEMA_NUMBER).
"""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from pydantic import ValidationError

from runtime.errors import WireError
from runtime.messaging import codec, messages
from runtime.messaging.array_field import Array
from runtime.messaging.upgrades import SCHEMA_NUMBER

Build = Callable[..., Any]
GOLDEN = Path(__file__).parents[1] / "golden" / f"schema-{SCHEMA_NUMBER}"
KINDS = sorted(messages.MESSAGES)
MUTATIONS = 20_000


def body_of(message: messages.Message) -> dict[str, Any]:
    """A message's raw map, to be spoiled."""
    return msgpack.unpackb(codec.encode(message), use_list=False)


def pack(body: Any) -> bytes:
    """The payload of a raw map."""
    return msgpack.packb(body) or b""


def test_every_message_travels() -> None:
    """A message that is defined and not in the table would be sent, and refused wherever it arrives."""
    kinds = [kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, messages.Message)]
    bases = {base for kind in kinds for base in kind.__bases__}
    assert {kind for kind in kinds if kind not in bases} == {*messages.MESSAGES.values()}


@pytest.mark.parametrize("kind", KINDS)
def test_golden_bytes(kind: str, build: Build) -> None:
    path = GOLDEN / f"{kind}.msgpack"
    payload = codec.encode(build(messages.MESSAGES[kind]))
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_bytes(payload)
    assert payload == path.read_bytes(), f"{kind} changed on the wire; see this file's head"


@pytest.mark.parametrize("kind", KINDS)
def test_golden_bytes_decode_to_the_message(kind: str, build: Build) -> None:
    made = codec.decode((GOLDEN / f"{kind}.msgpack").read_bytes(), messages.MESSAGES[kind])
    assert type(made) is messages.MESSAGES[kind]
    assert codec.encode(made) == codec.encode(build(messages.MESSAGES[kind]))


def test_arrays_survive_bit_for_bit(build: Build) -> None:
    q = np.random.default_rng(0).normal(size=(64, messages.JOINTS)).astype(np.float32)
    made = codec.decode(codec.encode(build(messages.ActionChunk, q=q)))
    assert isinstance(made, messages.ActionChunk)
    assert made.q.dtype == np.float32
    np.testing.assert_array_equal(made.q, q)


def test_an_array_that_is_not_contiguous_is_sent_in_order(build: Build) -> None:
    q = np.asfortranarray(np.arange(64 * messages.JOINTS, dtype=np.float32).reshape(64, -1))
    made = codec.decode(codec.encode(build(messages.ActionChunk, q=q)))
    assert isinstance(made, messages.ActionChunk)
    np.testing.assert_array_equal(made.q, q)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_field_is_refused(kind: str, build: Build) -> None:
    with pytest.raises(WireError, match="surplus"):
        codec.decode(pack(body_of(build(messages.MESSAGES[kind])) | {"surplus": 1}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_field_is_refused(kind: str, build: Build) -> None:
    body = body_of(build(messages.MESSAGES[kind]))
    del body["seq"]
    with pytest.raises(WireError, match=r"seq"):
        codec.decode(pack(body))


LEAKS = ("Input should", "Field required", "Extra input", "Value error", "validation", "pydantic")
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e30,
    float("nan"),
    "a\nb",
    b"x" * 5000,
    (),
    ({},),
    (1, "a"),
    {},
    {"a": {"b": ()}},
    "x" * 5000,
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_field_is_one_line_with_its_name_and_a_remedy(kind: str, build: Build) -> None:
    body = body_of(build(messages.MESSAGES[kind]))
    refused = 0
    for name in [*body.keys() - {"type", "schema"}, "surplus", "a\nb", "x" * 5000]:
        for value in ODD:
            try:
                codec.decode(pack(body | {name: value}))
            except WireError as error:
                line, refused = str(error), refused + 1
                assert line.startswith(f"{kind}.") and name[:9].partition("\n")[0] in line
                assert line.endswith("; send it from the same version of video2act")
                assert line.isprintable() and len(line) < 400
                assert not any(leak in line for leak in LEAKS), line
    assert refused > 30


def test_a_refused_message_says_field_value_and_what_it_must_be(build: Build) -> None:
    remedy = "; send it from the same version of video2act"

    def said(kind: type[messages.Message], **wrong: Any) -> str:
        with pytest.raises(WireError) as caught:
            codec.decode(pack(body_of(build(kind)) | wrong))
        assert str(caught.value).endswith(remedy)
        return str(caught.value).removesuffix(remedy)

    assert said(messages.OperatorCommand, seq=-1) == "OperatorCommand.seq -1: must be a whole number of at least 0"
    assert said(messages.OperatorCommand, seq=b"12") == (
        'OperatorCommand.seq "2 bytes": must be a whole number of at least 0'
    )
    assert said(messages.OperatorCommand, command="rum").endswith("release, clear; did you mean run?")
    assert said(messages.OperatorCommand, comand=1) == ("OperatorCommand.comand: unknown field; did you mean command?")
    states = body_of(build(messages.Supervision))["processes"]
    wrong = said(messages.Supervision, processes=(states[0], states[0] | {"restarts": "two"}))
    assert wrong == 'Supervision.processes.restarts "two": must be a whole number'
    lacks = {name: value for name, value in states[0].items() if name != "restarts"}
    assert said(messages.Supervision, processes=(lacks,)) == (
        "Supervision.processes.restarts is missing; give a whole number"
    )
    assert said(messages.Supervision, processes=3) == "Supervision.processes 3: must be a list of tables"


@pytest.mark.parametrize("schema", [0, 1, 2, 3, 5, None, "1", -1, 1.5, 1.0, True])
def test_another_schema_is_refused(schema: Any, build: Build) -> None:
    with pytest.raises(WireError, match="schema"):
        codec.decode(pack(body_of(build(messages.OperatorCommand)) | {"schema": schema}))


@pytest.mark.parametrize("kind", ["Nothing", "Message", "Episodic", "", None, 3, "order", "Order", "MasterState"])
def test_an_unknown_type_is_refused(kind: Any, build: Build) -> None:
    with pytest.raises(WireError):
        codec.decode(pack(body_of(build(messages.OperatorCommand)) | {"type": kind}))


def test_another_type_than_the_topic_carries_is_refused(build: Build) -> None:
    with pytest.raises(WireError, match="not a OperatorCommand"):
        codec.decode(codec.encode(build(messages.Episode)), messages.OperatorCommand)


@pytest.mark.parametrize("value", ["1", 1.0, True, None, -1, b"1", (1,)])
def test_a_sequence_number_is_a_whole_number_from_zero(value: Any, build: Build) -> None:
    with pytest.raises(WireError, match="seq"):
        codec.decode(pack(body_of(build(messages.OperatorCommand)) | {"seq": value}))


@pytest.mark.parametrize("command", ["halt", "", "RUN", None, 1])
def test_an_unknown_command_is_refused(command: Any, build: Build) -> None:
    with pytest.raises(WireError, match="command"):
        codec.decode(pack(body_of(build(messages.OperatorCommand)) | {"command": command}))


def test_a_text_that_is_too_long_is_refused(build: Build) -> None:
    with pytest.raises(WireError, match="text"):
        codec.decode(pack(body_of(build(messages.Instruction)) | {"text": "a" * 1001}))


@pytest.mark.parametrize("dt_ns", [0, -1, messages.SHORTEST_DT_NS - 1, messages.LONGEST_DT_NS + 1])
def test_a_chunk_moves_forward_in_time(dt_ns: int, build: Build) -> None:
    with pytest.raises(WireError, match="dt_ns"):
        codec.decode(pack(body_of(build(messages.ActionChunk)) | {"dt_ns": dt_ns}))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(("kind", "name"), [("ArmTarget", "seam_jump_rad_s")])
def test_a_number_that_is_not_finite_is_refused(kind: str, name: str, bad: float, build: Build) -> None:
    with pytest.raises(WireError, match=name):
        codec.decode(pack(body_of(build(messages.MESSAGES[kind])) | {name: bad}))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_nested_number_that_is_not_finite_is_refused(bad: float, build: Build) -> None:
    body = body_of(build(messages.CameraHealth))
    body["cameras"] = (body["cameras"][0] | {"rate_hz": bad},)
    with pytest.raises(WireError, match="rate_hz"):
        codec.decode(pack(body))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("kind", "name", "dtype"),
    [("JointState", "q", "float64"), ("ArmTarget", "blended", "float64"), ("Scene", "qpos", "float64")],
)
def test_an_array_that_is_not_finite_is_refused(kind: str, name: str, dtype: str, bad: float, build: Build) -> None:
    body = body_of(build(messages.MESSAGES[kind]))
    values = np.frombuffer(body[name]["data"], dtype).copy()
    values[-1] = bad
    body[name] = body[name] | {"data": values.tobytes()}
    with pytest.raises(WireError, match=f"{name}.*NaN or infinity"):
        codec.decode(pack(body))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 500, 64 * messages.JOINTS - 1])
def test_a_chunk_that_is_not_finite_is_refused(place: int, bad: float, build: Build) -> None:
    body = body_of(build(messages.ActionChunk))
    values = np.frombuffer(body["q"]["data"], np.float32).copy()
    values[place] = bad
    body["q"] = body["q"] | {"data": values.tobytes()}
    with pytest.raises(WireError, match="NaN or infinity"):
        codec.decode(pack(body))


@pytest.mark.parametrize("bits", [0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x7F81])
def test_a_bfloat16_that_is_not_finite_is_refused(bits: int, build: Build) -> None:
    body = body_of(build(messages.Conditions))
    motion = body["arrays"]["motion"]
    values = np.frombuffer(motion["data"], np.uint16).copy()
    values[5] = bits
    body["arrays"]["motion"] = motion | {"data": values.tobytes()}
    with pytest.raises(WireError, match=r"motion.*NaN or infinity"):
        codec.decode(pack(body))


@pytest.mark.parametrize("bits", [0x0000, 0x8000, 0x7F7F, 0xFF7F, 0x0001])
def test_every_finite_bfloat16_passes(bits: int, build: Build) -> None:
    tokens = Array("bfloat16", np.full((2, 2), bits, np.uint16))
    made = codec.decode(codec.encode(build(messages.Conditions, arrays={"tokens": tokens})))
    assert isinstance(made, messages.Conditions)
    np.testing.assert_array_equal(made.arrays["tokens"].values, tokens.values)


@pytest.mark.parametrize("count", [1, 2, 16, 50, 128])
def test_a_chunk_has_as_many_targets_as_its_policy_makes(count: int, build: Build) -> None:
    q = np.random.default_rng(0).normal(size=(count, messages.JOINTS)).astype(np.float32)
    made = codec.decode(codec.encode(build(messages.ActionChunk, q=q, dt_ns=50_000_000)))
    assert isinstance(made, messages.ActionChunk) and made.dt_ns == 50_000_000
    np.testing.assert_array_equal(made.q, q)


@pytest.mark.parametrize("count", [0, messages.MOST_TARGETS + 1])
def test_a_chunk_of_no_or_too_many_targets_is_refused(count: int, build: Build) -> None:
    body = body_of(build(messages.ActionChunk))
    q = np.zeros((count, messages.JOINTS), np.float32)
    body["q"] = {"dtype": "float32", "shape": q.shape, "data": q.tobytes()}
    with pytest.raises(WireError, match=r"ActionChunk\.q.*shape"):
        codec.decode(pack(body))


@pytest.mark.parametrize(
    "array",
    [
        Array("float32", np.arange(6, dtype=np.float32).reshape(1, 2, 3)),
        Array("int64", np.array(-(1 << 60))),
        Array("float16", np.zeros((0, 3), np.float16)),
        Array("bfloat16", np.full((2, 3, 4, 5), 0x3F80, np.uint16)),
        Array("uint8", np.arange(255, dtype=np.uint8)),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_a_condition_is_any_named_arrays(array: Array, build: Build) -> None:
    sent = build(messages.Conditions, arrays={"a": array, "other_2": array})
    made = codec.decode(codec.encode(sent))
    assert isinstance(made, messages.Conditions) and list(made.arrays) == ["a", "other_2"]
    for name in made.arrays:
        assert made.arrays[name].dtype == array.dtype and made.arrays[name].shape == array.shape
        np.testing.assert_array_equal(made.arrays[name].values, array.values)


FEW = {"dtype": "float32", "shape": (2,), "data": b"\0" * 8}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({f"a{number}": FEW for number in range(17)}, "at most 16 arrays, got 17"),
        (
            {name: FEW | {"shape": (1 << 19,), "data": bytes(1 << 21)} for name in "abc"},
            "at most 4194304 bytes, got",
        ),
        ({"A": FEW}, "array name must be"),
        ({"": FEW}, "array name must be"),
        ({"a" * 33: FEW}, "array name must be"),
        ({"a": FEW | {"dtype": "complex64"}}, "a: expected dtype .* got 'complex64'"),
        ({"a": FEW | {"dtype": "object"}}, "a: expected dtype .* got 'object'"),
        ({"a": FEW | {"dtype": ["float32"]}}, "a: expected dtype"),
        ({"a": FEW | {"shape": (1, 1, 1, 1, 2)}}, "expected 0 to 4 dimensions"),
        ({"a": FEW | {"shape": (3,)}}, "a: 8 bytes do not fit shape"),
        ({"a": FEW | {"data": b"\0\0\xc0\x7f" * 2}}, "a: holds NaN"),
        ({"a": {"dtype": "float32", "shape": (2,)}}, "a: not an array"),
        ({"a": None}, "a: expected dtype .* got None"),
        ((), "not a map"),
        (None, "not a map"),
    ],
)
def test_what_is_no_bounded_set_of_arrays_is_refused(arrays: Any, said: str, build: Build) -> None:
    with pytest.raises(WireError, match=rf"Conditions\.arrays.*{said}"):
        codec.decode(pack(body_of(build(messages.Conditions)) | {"arrays": arrays}))


@pytest.mark.parametrize("part", [FEW, {"dtype": "uint8", "shape": (8,), "data": bytes(8)}])
def test_a_map_is_a_picture_of_bytes(part: dict[str, Any], build: Build) -> None:
    with pytest.raises(WireError, match=r"Conditions\.maps"):
        codec.decode(pack(body_of(build(messages.Conditions)) | {"maps": {"a": part}}))


ARRAY_SPOILS: list[dict[str, Any]] = [
    {"dtype": "float64"},
    {"dtype": "bfloat16"},
    {"dtype": 32},
    {"dtype": None},
    {"shape": (messages.JOINTS, 64)},
    {"shape": (64 * messages.JOINTS,)},
    {"shape": (1, 64, messages.JOINTS)},
    {"shape": (64, -messages.JOINTS)},
    {"shape": (64, float(messages.JOINTS))},
    {"shape": (64, "14")},
    {"shape": (1 << 40, 1 << 40)},
    {"shape": ()},
    {"shape": 64},
    {"shape": None},
    {"data": b""},
    {"data": b"\0" * 3583},
    {"data": b"\0" * 3585},
    {"data": "text"},
    {"data": None},
    {"data": 3584},
    {"data": (0,) * 3584},
    {"more": 1},
]


@pytest.mark.parametrize("spoil", ARRAY_SPOILS, ids=lambda spoil: str(spoil)[:40])
def test_a_spoilt_array_is_refused(spoil: dict[str, Any], build: Build) -> None:
    body = body_of(build(messages.ActionChunk))
    body["q"] = body["q"] | spoil
    with pytest.raises(WireError, match=r"ActionChunk\.q"):
        codec.decode(pack(body))


@pytest.mark.parametrize("value", [None, 1, "array", b"bytes", (), {}, {"data": b""}, (0.0,) * 14])
def test_something_else_than_an_array_is_refused(value: Any, build: Build) -> None:
    with pytest.raises(WireError, match=r"JointState\.q"):
        codec.decode(pack(body_of(build(messages.JointState)) | {"q": value}))


def test_a_shape_of_truth_values_is_refused(build: Build) -> None:
    body = body_of(build(messages.Conditions))
    body["arrays"]["spatial"] = {"dtype": "bfloat16", "shape": (True, 4), "data": bytes(8)}
    with pytest.raises(WireError, match="spatial"):
        codec.decode(pack(body))


def test_an_array_of_very_many_axes_is_refused(build: Build) -> None:
    body = body_of(build(messages.Conditions))
    body["arrays"]["spatial"] = {"dtype": "bfloat16", "shape": (0,) * 200, "data": b""}
    with pytest.raises(WireError, match="spatial"):
        codec.decode(pack(body))


@pytest.mark.parametrize(
    "payload",
    [b"", b"\xc1", b"\x80", b"\x90", b"\x01", b"garbage", b"\xff" * 50, b"\x91" * 5000, b"\xdf\xff\xff\xff\xff"],
    ids=repr,
)
def test_what_is_no_message_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        codec.decode(payload)


def test_trailing_bytes_are_refused(build: Build) -> None:
    with pytest.raises(WireError):
        codec.decode(codec.encode(build(messages.OperatorCommand)) + b"\xc0")


def test_keys_that_are_not_text_are_refused(build: Build) -> None:
    payload = codec.encode(build(messages.OperatorCommand))
    for surplus in (b"\x01\x02", b"\xc4\x01a\x02"):
        with pytest.raises(WireError):
            codec.decode(bytes([payload[0] + 1]) + payload[1:] + surplus)


def test_a_message_cannot_be_made_with_nan(build: Build) -> None:
    with pytest.raises(ValidationError, match="NaN or infinity"):
        build(messages.JointState, q=np.full(messages.JOINTS, np.nan))


def test_a_message_cannot_be_made_with_another_shape_or_dtype(build: Build) -> None:
    for q in (np.zeros(13), np.zeros((14, 1)), np.zeros(14, np.float32), [0.0] * 14):
        with pytest.raises(ValidationError, match=r"shape|dtype|not an array"):
            build(messages.JointState, q=q)


def test_a_message_cannot_be_changed(build: Build) -> None:
    command: messages.OperatorCommand = build(messages.OperatorCommand)
    with pytest.raises(ValidationError, match="frozen"):
        command.seq = 3  # pyright: ignore[reportAttributeAccessIssue]


def _mutate_bytes(dice: random.Random, payload: bytes, other: bytes) -> bytes:
    data = bytearray(payload)
    for _ in range(dice.randint(1, 4)):
        place = dice.randrange(len(data) + 1)
        match dice.randrange(6):
            case 0 if place < len(data):
                data[place] ^= 1 << dice.randrange(8)
            case 1 if place < len(data):
                data[place] = dice.randrange(256)
            case 2:
                data[place:place] = dice.randbytes(dice.randint(1, 9))
            case 3:
                del data[place : place + dice.randint(1, 9)]
            case 4:
                del data[place:]
            case _:
                data[place:] = other[dice.randrange(len(other)) :]
        if not data:
            return b""
    return bytes(data)


def _junk(dice: random.Random) -> Any:
    choices: list[Any] = [
        None, True, False, 0, 1, -1, 14, 64, 1 << 63, -(1 << 63), (1 << 64) - 1, 0.0, 1.5, float("nan"), float("inf"),
        "", "head", "NaN", "a" * 3000, b"", b"\xff\xff", (), (1,), (True, 4), ("a", 1, 1), ((),) * 3, {}, {"q": 1},
        msgpack.ExtType(5, b"x"), msgpack.Timestamp(1, 1),
    ]  # fmt: skip
    return dice.choice(choices)


def _mutate_values(dice: random.Random, body: Any) -> Any:
    """Replace, add or remove something at a random depth."""
    if isinstance(body, dict) and body and dice.random() < 0.9:
        key = dice.choice(list(body))
        changed = dict(body)
        match dice.randrange(6):
            case 0:
                del changed[key]
            case 1:
                changed[dice.choice(["surplus", "seq", "data", "shape"])] = _junk(dice)
            case _:
                changed[key] = _mutate_values(dice, body[key])
        return changed
    if isinstance(body, tuple) and body and dice.random() < 0.7:
        place = dice.randrange(len(body))
        return (*body[:place], _mutate_values(dice, body[place]), *body[place + 1 :])
    return _junk(dice)


def _refused(payload: bytes) -> bool:
    """Whether a payload is refused; what is taken must be encodable again. Anything but WireError escapes."""
    try:
        made = codec.decode(payload)
    except WireError as error:
        assert "\n" not in str(error)
        return True
    assert codec.decode(codec.encode(made)) is not None
    return False


def test_mutated_bytes_give_a_wire_error_or_a_message(build: Build) -> None:
    dice = random.Random(1)
    payloads = [codec.encode(build(messages.MESSAGES[kind])) for kind in KINDS]
    refused = sum(
        _refused(_mutate_bytes(dice, dice.choice(payloads), dice.choice(payloads))) for _ in range(MUTATIONS // 2)
    )
    assert refused > MUTATIONS // 4


def test_mutated_values_give_a_wire_error_or_a_message(build: Build) -> None:
    dice = random.Random(2)
    bodies = [body_of(build(messages.MESSAGES[kind])) for kind in KINDS]
    refused = sum(_refused(pack(_mutate_values(dice, dice.choice(bodies)))) for _ in range(MUTATIONS // 2))
    assert refused > MUTATIONS // 4
