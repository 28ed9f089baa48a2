"""openpi's wire format: what its own client writes, byte for byte, and what no packet may hold. Called by pytest."""

from typing import Any

import msgpack
import numpy as np
import pytest

from runtime.errors import WireError
from runtime.messaging import openpi
from runtime.messaging.openpi import packed, unpacked

JOINTS = np.arange(14, dtype=np.float32)


def array(**changes: Any) -> dict[bytes, Any]:
    """An array as openpi-client 0.1.2 writes it."""
    usual = {b"__ndarray__": True, b"data": JOINTS.tobytes(), b"dtype": "<f4", b"shape": (14,)}
    return usual | {name.encode(): value for name, value in changes.items()}


def test_an_array_is_what_the_client_writes_and_reads() -> None:
    packet = packed({"state": JOINTS, "prompt": "go"})
    assert packet == msgpack.packb({"state": array(), "prompt": "go"})
    found = unpacked(packet)
    np.testing.assert_array_equal(found["state"], JOINTS)
    assert found["prompt"] == "go"


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
def test_all_dtypes_of_pictures_joints_and_flags_come_back(dtype: str) -> None:
    value = np.arange(24).reshape(2, 3, 4).astype(dtype)
    found = unpacked(packed({"a": [value, value[0, 0, 1]]}))["a"]
    np.testing.assert_array_equal(found[0], value)
    assert found[0].dtype == value.dtype
    assert found[1] == value[0, 0, 1]
    assert dtype == "float64" or found[1].dtype == value.dtype  # a float64 is Python's own float, and travels as one


def test_an_array_that_was_sliced_is_sent_as_it_is_seen() -> None:
    value = np.arange(24, dtype=np.uint8).reshape(4, 6).T[::2]
    np.testing.assert_array_equal(unpacked(packed(value)), value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (array(dtype="|O"), "an array of '|O': must be one of"),
        (array(dtype="<c8"), "an array of '<c8'"),
        (array(dtype="|V4"), "an array of '|V4'"),
        (array(dtype=">f4"), "an array of '>f4'"),
        (array(dtype=7), "an array of 7"),
        (array(shape=(15,)), "has 56 bytes"),
        (array(shape=(-14, -1)), "must be up to 6 whole numbers"),
        (array(shape=(1 << 40, 1 << 40)), "must be up to 6 whole numbers"),
        (array(shape=(1 << 24, 1 << 24, 1 << 24)), "has 56 bytes"),
        (array(shape=(1,) * 7), "must be up to 6 whole numbers"),
        (array(shape=(14.0,)), "must be up to 6 whole numbers"),
        (array(shape=None), "must be up to 6 whole numbers"),
        (array(data="text"), "its data bytes"),
        ({b"__npgeneric__": True, b"data": b"x", b"dtype": "<f4"}, "a number of bytes"),
        ({b"__npgeneric__": True, b"data": 1.0, b"dtype": "|O"}, "an array of '|O'"),
    ],
)
def test_an_array_that_is_not_what_it_says_is_refused(wrong: dict[bytes, Any], said: str) -> None:
    with pytest.raises(WireError, match=said.replace("|", r"\|").replace("(", r"\(")) as refused:
        unpacked(msgpack.packb({"images": {"cam_high": wrong}}) or b"")
    assert len(str(refused.value)) < 250 and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "packet",
    [
        b"", b"\xc1", packed({"a": 1})[:-1], packed({"a": 1}) + b"\x00", b"\x91" * 5000, b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xd8\x01" + bytes(16), b"\xa1\xff", b"\x81\x90\x01",
        msgpack.packb({"t": "x" * 200_000}), msgpack.packb(list(range(20_000))),
    ],
)  # fmt: skip
def test_what_is_no_packet_is_one_line(packet: bytes) -> None:
    with pytest.raises(WireError, match=r"not a packet of openpi's format \(.*\); send msgpack"):
        unpacked(packet)


def test_a_packet_that_is_too_large_is_not_opened() -> None:
    with pytest.raises(WireError, match=r"a packet of \d+ bytes: at most \d+ are taken"):
        unpacked(bytes(openpi.LARGEST_BYTES + 1))


def test_what_has_no_place_in_a_packet_is_not_sent() -> None:
    for value in (np.array([object()]), np.array([1j]), object(), 1 << 70):
        with pytest.raises(WireError, match="cannot be sent"):
            packed({"a": value})


def test_random_bytes_do_no_harm() -> None:
    random = np.random.default_rng(0)
    whole = packed({"images": {"cam_high": np.zeros((4, 4, 3), np.uint8)}, "state": JOINTS, "prompt": "go"})
    for _ in range(3000):
        packet = bytearray(whole)
        for place in random.integers(len(packet), size=int(random.integers(1, 4))):
            packet[place] = int(random.integers(256))
        try:
            unpacked(bytes(packet))
        except WireError as error:
            assert "\n" not in str(error)
