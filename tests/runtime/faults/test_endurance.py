"""What stays of a start, what is counted of a packet, how growth is judged; no robot runs. Called by pytest."""

import random
from pathlib import Path

import pytest

from runtime.errors import SettingsError
from runtime.faults import command, endurance, packets, starts
from runtime.faults.message_rows import mutated
from runtime.messaging import codec, messages


def test_growth_is_told_by_the_hour_without_the_beginning() -> None:
    at_s = [5.0 * n for n in range(100)]
    steady = [(100.0, 50.0, 9.0)] * 100
    leaking = [(80.0 if n < 20 else 100.0 + n * 5 / 36, 50.0, 9.0 + n // 50) for n in range(100)]
    rows = {"arms": endurance.slopes(at_s, steady), "console": endurance.slopes(at_s, leaking)}
    assert rows["console"]["MB an hour"] == pytest.approx(100.0)
    assert endurance.above({"arms": rows["arms"]}) == []
    assert [line.split(":")[0] for line in endurance.above(rows)] == ["console", "console"]
    assert "console: 100.0 MB an hour (limit 20)" in endurance.above(rows)
    assert endurance.slopes([0.0], steady[:1]) == dict.fromkeys(endurance.LIMITS, 0.0)


@pytest.mark.parametrize(("topic", "sender", "good"), packets.GOOD, ids=lambda value: str(value)[:16])
def test_most_mutated_packets_are_no_messages_any_more(topic: str, sender: str, good: messages.Message) -> None:
    dice, payload = random.Random(1), codec.encode(good)
    made = [mutated(payload, dice) for _ in range(500)]
    assert payload not in made and len(set(made)) > 350
    assert max(map(len, made)) > 1 << 16, "one is longer than its topic allows"
    assert 0.8 < sum(not packets.readable(packet, type(good)) for packet in made) / 500 < 1
    assert packets.readable(payload, type(good))


def test_a_folder_that_stays_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts.tempfile, "gettempdir", lambda: str(tmp_path))
    before = starts._folders()  # pyright: ignore[reportPrivateUsage]
    (tmp_path / "video2act-forgotten").mkdir()
    assert starts._folders() - before == {tmp_path / "video2act-forgotten"}  # pyright: ignore[reportPrivateUsage]


def test_one_kind_is_run_at_a_time() -> None:
    with pytest.raises(SettingsError, match="--starts, --packets: exclude each other"):
        command.main(["--starts", "2", "--packets", "30"])
