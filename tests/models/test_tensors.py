"""Tensor files of a checkpoint, whole and in shards: what is saved comes back, and a wrong piece is named in one line.
Called by pytest."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoint import Checkpoint, save
from models.errors import ModelError
from models.identity import CHECKSUMS, INDEX, checkpoint_id
from models.tensors import StoredTensors, save_tensors

CPU = torch.device("cpu")


def tensors(seed: int) -> dict[str, torch.Tensor]:
    """Five tensors of 4 kB."""
    torch.manual_seed(seed)
    return {f"slow.layer{number}.weight": torch.randn(32, 32) for number in range(5)}


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """Them in shards of two."""
    folder = tmp_path / "sharded"
    folder.mkdir()
    save_tensors(folder, tensors(1), shard_bytes=9000)
    return folder


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("model-*.safetensors"))


def refused(folder: Path) -> str:
    with pytest.raises(ModelError) as error:
        StoredTensors(folder).read("slow.", CPU)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_shards_come_back_bit_for_bit(sharded: Path) -> None:
    assert len(shards(sharded)) == 3
    found = StoredTensors(sharded).read("slow.", CPU)
    for name, tensor in tensors(1).items():
        assert torch.equal(found[name.removeprefix("slow.")], tensor)


def test_one_small_checkpoint_is_one_file(tmp_path: Path) -> None:
    save_tensors(tmp_path, tensors(1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKSUMS, "model.safetensors"]


def test_only_what_is_asked_for_is_read(sharded: Path) -> None:
    shards(sharded)[-1].unlink()  # it holds the last layer
    assert list(StoredTensors(sharded).read("slow.layer0", CPU)) == [".weight"]


def test_two_names_of_one_weight_are_both_stored(tmp_path: Path) -> None:
    weight = torch.randn(3, 3)
    save_tensors(tmp_path, {"a": weight, "b": weight})
    found = StoredTensors(tmp_path).read("", CPU)
    assert torch.equal(found["a"], weight)
    assert torch.equal(found["b"], weight)


def test_a_missing_shard_is_named(sharded: Path) -> None:
    gone = shards(sharded)[1]
    gone.unlink()
    assert str(gone) in refused(sharded)


def test_a_shard_of_another_checkpoint_is_named(sharded: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    save_tensors(other, tensors(2), shard_bytes=9000)
    shards(sharded)[1].write_bytes(shards(other)[1].read_bytes())
    assert f"{shards(sharded)[1]}: belongs to another checkpoint" in refused(sharded)


def test_any_flipped_bit_is_refused_or_changes_no_weight(sharded: Path) -> None:
    """Of weights all are refused; the header has padding, and words that nothing depends on."""
    path = shards(sharded)[0]
    sound = path.read_bytes()
    header = 8 + int.from_bytes(sound[:8], "little")
    random = np.random.default_rng(0)
    for place in [*random.integers(header, len(sound), 40), *random.integers(header, size=60)]:
        damaged = bytearray(sound)
        damaged[place] ^= 1 << int(random.integers(8))
        path.write_bytes(damaged)
        try:
            found = StoredTensors(sharded).read("slow.", CPU)
        except ModelError as error:
            assert str(path) in str(error)
            continue
        assert place < header
        assert all(torch.equal(found[name.removeprefix("slow.")], tensor) for name, tensor in tensors(1).items())


@pytest.mark.parametrize("stored", ["[]", "{", '{"slow.layer0.weight": 3}', "{}"])
def test_broken_checksums_are_named(sharded: Path, stored: str) -> None:
    (sharded / CHECKSUMS).write_text(stored)
    said = refused(sharded)
    assert CHECKSUMS in said
    assert "copy the checkpoint again" in said


def test_a_truncated_shard_is_named(sharded: Path) -> None:
    path = shards(sharded)[0]
    path.write_bytes(path.read_bytes()[:5000])
    assert str(path) in refused(sharded)


@pytest.mark.parametrize(
    "broken", ["", "[]", "{}", '{"metadata": {}, "weight_map": {}}', '{"metadata": 3, "weight_map": {}}']
)
def test_a_broken_index_is_named(sharded: Path, broken: str) -> None:
    (sharded / INDEX).write_text(broken)
    assert str(sharded / INDEX) in refused(sharded)


def test_a_tensor_that_the_index_promises_and_no_shard_has_is_named(sharded: Path) -> None:
    index = json.loads((sharded / INDEX).read_text())
    index["weight_map"]["slow.more"] = shards(sharded)[0].name
    (sharded / INDEX).write_text(json.dumps(index))
    assert "slow.more is missing" in refused(sharded)


def test_a_sharded_policy_is_the_same_policy(
    untrained: Callable[[int], Checkpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.tensors._SHARD_BYTES", 100_000)
    made = untrained(1)
    slow, fast, text = made.slow(), made.fast(), made.instructor()
    save(tmp_path / "policy", made.config, made.statistics, {"slow": slow, "fast": fast, "text": text})
    assert len(shards(tmp_path / "policy")) > 3
    loaded = Checkpoint.load(tmp_path / "policy")
    for ours, theirs in ((loaded.slow(), slow), (loaded.fast(), fast), (loaded.instructor(), text)):
        assert all(torch.equal(weight, theirs.state_dict()[name]) for name, weight in ours.state_dict().items())


def test_the_id_of_shards_follows_their_content(tmp_path: Path, untrained: Callable[[int], Checkpoint]) -> None:
    config, ids = untrained(1).config, list[str]()
    for place, seed in enumerate((1, 1, 2)):
        folder = tmp_path / str(place)
        folder.mkdir()
        save_tensors(folder, tensors(seed), shard_bytes=9000)
        ids.append(checkpoint_id(config, folder, 0))
    assert ids[0] == ids[1] != ids[2]


def test_a_save_that_breaks_off_leaves_the_old_checkpoint(
    untrained: Callable[[int], Checkpoint], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = untrained(1)
    save(tmp_path / "policy", made.config, made.statistics, {"fast": made.fast()})
    before = (tmp_path / "policy" / "model.safetensors").read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("models.tensors.save_file", full)
    with pytest.raises(ModelError, match=r"cannot be written \(no space left on device\); free disk space"):
        save(tmp_path / "policy", made.config, made.statistics, {"fast": untrained(2).fast()})
    assert (tmp_path / "policy" / "model.safetensors").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["policy"], "nothing half written is left"
