"""Both systems computed by ONNX Runtime give what torch gives, for any instruction; graphs are kept, and written anew when they
cannot be read. Called by pytest."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from models import normalize
from models.backbones.backbone import VideoText
from models.checkpoint import Checkpoint, save
from models.chunk_predictor import ChunkPredictor
from models.condition_maker import ConditionMaker
from models.config.policy import PolicyConfig
from models.config.video import Wan
from models.errors import ModelError
from models.graphs import folder
from models.graphs.folder import GraphFolder
from models.graphs.lean_system2 import LeanGraphs
from models.graphs.system1 import FastGraphs
from models.graphs.system2 import SlowGraphs
from models.lean_system2 import LeanSystem
from models.policy import ConditionTokens, InstructionEmbedding

Untrained = Callable[[int], Checkpoint]
Shots = list[NDArray[np.uint8]]
Pictures = Callable[[int, int], Shots]


def instruction(config: PolicyConfig, words: int) -> InstructionEmbedding:
    """Of so many words."""
    language = torch.linspace(-1, 1, words * config.text.width).reshape(1, words, -1)
    video = config.video.backbone
    states = torch.linspace(-1, 1, words * video.text_dim).reshape(1, words, -1)
    return InstructionEmbedding(language, VideoText(states, torch.linspace(-1, 1, video.pooled_dim)[None]))


def chunk(system: ChunkPredictor, shots: Shots, words: int, count: int = 0, video: bool = True) -> NDArray[np.float32]:
    """A chunk after `count` committed targets."""
    config = system.config
    sets = [
        system.encode_images((place,), system.prepare(tuple(shots[3 * place : 3 * place + 3]))) for place in range(2)
    ]
    random = np.random.default_rng(5)
    spatial, motion = (
        torch.from_numpy(random.standard_normal((former.tokens, former.width), np.float32))
        for former in (config.spatial_former, config.motion_former)
    )
    conditions = ConditionTokens(spatial, motion) if video else None
    prefix = random.uniform(-0.1, 0.1, (count, config.joints))
    return system.predict_chunk(
        sets, np.full(config.joints, 0.1), instruction(config, words), conditions, 0.3, prefix, 7
    )


def understood(system: ConditionMaker, shots: Shots, words: int) -> list[NDArray[np.float32]]:
    """Tokens and maps of windows made of `shots`."""
    high, low = (list(range(ring.window.frames)) for ring in (system.high, system.low))
    for ring, numbers in ((system.high, high), (system.low, low)):
        for number in numbers:
            system.encode(ring, number, shots[number % len(shots)])
    made = system.encode_video(high, low, instruction(system.config, words))
    return [part.numpy() for part in (made.spatial, made.motion, made.spatial_map, made.motion_map)]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each graph of the tiny policy is written once, which takes seconds, by the test that first needs it."""
    return tmp_path_factory.mktemp("graphs")


@pytest.fixture
def graphs(kept: Path) -> GraphFolder:
    return GraphFolder(kept, "checkpoint", 1)


def test_kept_graphs_need_no_torch_network(
    untrained: Untrained, pictures: Pictures, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first test: it writes them, and those that follow compare with torch what is read again."""
    shots = pictures(6, 1)

    def both() -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        graphs = GraphFolder(kept, "checkpoint", 1)
        return chunk(FastGraphs(untrained(1), graphs), shots, 5), understood(SlowGraphs(untrained(1), graphs), shots, 5)

    first = both()
    for part in ("fast", "slow"):
        monkeypatch.setattr(Checkpoint, part, lambda _self: pytest.fail("its torch network was made"))
    again = both()
    np.testing.assert_array_equal(first[0], again[0])
    for before, after in zip(first[1], again[1], strict=True):
        np.testing.assert_array_equal(before, after)


def test_chunks_are_torchs_for_any_instruction_and_prefix(
    untrained: Untrained, pictures: Pictures, graphs: GraphFolder
) -> None:
    plain, fast, shots = untrained(1).fast(), FastGraphs(untrained(1), graphs), pictures(6, 1)
    for words, count in ((3, 0), (7, 2), (30, 5)):
        made = chunk(fast, shots, words, count)
        np.testing.assert_allclose(made, chunk(plain, shots, words, count), rtol=1e-4, atol=1e-5)
        fast.clear()
        np.testing.assert_array_equal(made, chunk(fast, shots, words, count), "the same bytes again")
    before = chunk(fast, shots, 3)
    fast.clear()
    assert np.abs(before - chunk(fast, pictures(6, 2), 3)).max() > 1e-4, "a chunk is of its pictures"


def test_a_policy_without_video_has_a_graph_of_its_own(
    untrained: Untrained, pictures: Pictures, graphs: GraphFolder
) -> None:
    plain, fast, shots = untrained(1).fast(), FastGraphs(untrained(1), graphs), pictures(6, 1)
    with_video = chunk(fast, shots, 3)
    without = chunk(fast, shots, 3, video=False)
    np.testing.assert_allclose(without, chunk(plain, shots, 3, video=False), rtol=1e-4, atol=1e-5)
    assert np.abs(without - with_video).max() > 1e-4


def test_eyes_that_hear_what_is_around_are_torchs(tiny: PolicyConfig, pictures: Pictures, tmp_path: Path) -> None:
    eyes = tiny.image.model_copy(update={"blocks": 2})
    deep = tiny.model_copy(update={"image": eyes})
    statistics = normalize.untrained(deep.horizon, np.zeros(deep.joints), np.full(deep.joints, 0.5))
    drawn, shots = Checkpoint(deep, statistics, None, 1), pictures(6, 1)
    made = chunk(FastGraphs(drawn, GraphFolder(tmp_path, "deep", 1)), shots, 3)
    np.testing.assert_allclose(made, chunk(drawn.fast(), shots, 3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["hunyuan", "wan"])
def test_conditions_are_torchs(
    tiny: PolicyConfig, wan: Wan, untrained: Untrained, pictures: Pictures, kept: Path, kind: str
) -> None:
    """Wan's windows are encoded as videos here, nine frames at once to three latents."""
    config, video, graphs = tiny, tiny.video, GraphFolder(kept, "checkpoint", 1)
    if kind == "wan":
        high, low = (
            window.model_copy(update={"height_px": 64, "width_px": 64, "frames": 9})
            for window in (video.high, video.low)
        )
        graphs = GraphFolder(kept, "wan", 1)
        changed = {"backbone": wan, "encoding": "causal", "high": high, "low": low}
        config = tiny.model_copy(update={"video": video.model_copy(update=changed)})
    checkpoint = Checkpoint(config, untrained(1).statistics, None, 1)
    plain, shots = checkpoint.slow(), pictures(4, 1)
    for slow in (SlowGraphs(checkpoint, graphs), LeanGraphs(checkpoint, graphs)):
        for words in (4, 9) if kind == "hunyuan" else (9,):
            made = understood(slow, shots, words)
            for ours, theirs in zip(made, understood(plain, shots, words), strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-5)
            for ours, again in zip(made, understood(slow, shots, words), strict=True):
                np.testing.assert_array_equal(ours, again)


def test_scaled_tokens_are_torchs(untrained: Untrained, tmp_path: Path) -> None:
    """Statistics of training data are stored, and are part of the graph."""
    drawn, random = untrained(1), torch.Generator().manual_seed(3)
    slow = drawn.slow()
    for former in (slow.spatial_former, slow.motion_former):
        assert former.scale is not None
        size = former.scale.mean.shape
        former.scale.take(torch.randn(size, generator=random), torch.rand(size, generator=random) * 0.1)
    parts = {"slow": slow, "fast": drawn.fast(), "text": drawn.instructor()}
    save(tmp_path / "policy", drawn.config, drawn.statistics, parts)
    stored, width = Checkpoint.load(tmp_path / "policy"), drawn.config.video.backbone.width
    windows = [torch.randn(1, frames, 2, 3, width, generator=random) for frames in (2, 4)]
    with torch.inference_mode():
        expected = stored.slow().formed(*windows)
        unscaled = [f.read(x) for f, x in zip((slow.spatial_former, slow.motion_former), windows, strict=True)]
        others = SlowGraphs(stored, GraphFolder(tmp_path, "scaled", 1)), LeanSystem(stored.slow())
        for system in others:
            for ours, theirs in zip(system.formed(*windows), expected, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert all((a - b).abs().mean() > 0.5 for a, b in zip(unscaled, expected, strict=True))


def test_formers_with_blocks_are_torchs(untrained: Untrained, tmp_path: Path) -> None:
    drawn, random = untrained(1), torch.Generator().manual_seed(3)
    formers = {
        f: getattr(drawn.config, f).model_copy(update={"blocks": 2}) for f in ("spatial_former", "motion_former")
    }
    deep = Checkpoint(drawn.config.model_copy(update=formers), drawn.statistics, None, 1)
    windows = [torch.randn(1, frames, 2, 3, drawn.config.video.backbone.width, generator=random) for frames in (2, 4)]
    with torch.inference_mode():
        expected, shallow = deep.slow().formed(*windows), drawn.slow().formed(*windows)
        for system in (SlowGraphs(deep, GraphFolder(tmp_path, "deep", 1)), LeanSystem(deep.slow())):
            for ours, theirs in zip(system.formed(*windows), expected, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert all((a - b).abs().mean() > 0.05 for a, b in zip(shallow, expected, strict=True))


def small(weight: float) -> folder.Network:
    """A network of one number."""
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, weight)
    return layer, {"x": torch.ones(1, 1)}, {}


def output(graphs: GraphFolder, weight: float) -> float:
    """Of the graph `small`, which is written with that weight where there is none."""
    return float(graphs.graph("small", lambda: small(weight))({"x": torch.full((1, 1), 2.0)})[0])


@pytest.mark.parametrize("spoilt", [b"", b"no graph at all", None])
def test_a_graph_that_cannot_be_read_is_written_anew(tmp_path: Path, spoilt: bytes | None) -> None:
    assert output(GraphFolder(tmp_path, "checkpoint", 1), 3.0) == 6.0
    (path,) = tmp_path.rglob("*.onnx")
    path.write_bytes(path.read_bytes()[:-20] if spoilt is None else spoilt)
    assert output(GraphFolder(tmp_path, "checkpoint", 1), 4.0) == 8.0
    assert output(GraphFolder(tmp_path, "checkpoint", 1), 5.0) == 8.0, "it is kept"
    assert len(list(tmp_path.rglob("*"))) == 2, "nothing else is left"


class Spectrum(torch.nn.Module):
    """What the exporter cannot write."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.rfft(x).abs()


def test_a_network_that_has_no_graph_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    graphs = GraphFolder(tmp_path, "checkpoint", 1)
    with pytest.raises(
        ModelError, match=r"odd\.onnx: cannot be written \(.*\); free disk space, or give engine torch$"
    ):
        graphs.graph("odd", lambda: (Spectrum(), {"x": torch.ones(1, 8)}, {}))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match=r"cannot be written .*; free disk space"):
        output(GraphFolder(tmp_path / "file", "checkpoint", 1), 3.0)


def test_another_checkpoint_or_library_has_graphs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert output(GraphFolder(tmp_path, "one", 1), 3.0) == 6.0
    assert output(GraphFolder(tmp_path, "two", 1), 4.0) == 8.0
    monkeypatch.setattr(folder, "version", lambda library: f"another {library}")
    assert output(GraphFolder(tmp_path, "one", 1), 5.0) == 10.0


def test_a_changed_module_has_graphs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "sources" / "layers.py"
    module.parent.mkdir()
    module.write_text("EPSILON = 1e-6\n")
    monkeypatch.setattr(folder, "_SOURCES", module.parent)
    graphs = tmp_path / "graphs"
    assert output(GraphFolder(graphs, "one", 1), 3.0) == 6.0
    assert output(GraphFolder(graphs, "one", 1), 4.0) == 6.0, "nothing changed"
    module.write_text("EPSILON = 1e-5\n")
    assert output(GraphFolder(graphs, "one", 1), 5.0) == 10.0


def test_the_graphs_of_old_checkpoints_are_removed(tmp_path: Path) -> None:
    old = [tmp_path / f"old {number}" for number in range(12)]
    for number, path in enumerate(old):
        path.mkdir()
        (path / "small.onnx").write_bytes(b"graph")
        os.utime(path, (number, number))
    output(GraphFolder(tmp_path, "new", 1), 3.0)
    assert [path for path in old if path.exists()] == old[-8:]
