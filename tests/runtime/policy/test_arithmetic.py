"""What decides the last bits of a system's numbers is kept with the session, and a replay compares it. Called by pytest."""

import json
from pathlib import Path

import pytest
import tiny_checkpoint
import torch

from runtime.config.loading import load_settings
from runtime.config.settings import Settings
from runtime.messaging import codec, messages
from runtime.policy import arithmetic
from runtime.policy.networks import open_checkpoint, prepare_torch
from runtime.process.base import KEPT_FOLDER, Process, RunFile
from runtime.session import reader
from runtime.session.format import FILE_NAME
from runtime.session.recorder import Recorder


def tiny(*flags: str) -> Settings:
    return load_settings([*tiny_checkpoint.flags(), *flags])


def found(settings: Settings) -> dict[str, str]:
    return arithmetic.of(settings.system2, open_checkpoint(settings))


def test_engine_versions_type_and_processor_are_named() -> None:
    made = found(tiny("--system2.engine", "torch", "--system2.threads", "2"))
    assert (made["engine"], made["version"], made["threads"]) == ("torch", torch.__version__, "2")
    assert made["type"] == "float32" and made["compiled"] == "no" and made["device"]
    assert found(tiny("--system2.engine", "onnx"))["engine"] == "onnx"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--system2.numerics", "plain"), "numerics lean, here plain"),
        (("--system2.compile",), "compiled no, here yes"),
        (("--system2.dtype", "bfloat16"), "type float32, here bfloat16"),
        (("--system2.storage", "float8"), "storage none, here float8"),
        ((), ""),
    ],
)
def test_what_differs_is_named_with_both_values(flags: tuple[str, ...], said: str) -> None:
    base = ("--system2.engine", "torch")
    recorded = json.dumps(found(tiny(*base))).encode()
    assert arithmetic.differences(recorded, found(tiny(*base, *flags))) == said


@pytest.mark.parametrize("recorded", [b"", b"\xff", b"[]", b"3", b"[" * 100_000])
def test_damaged_arithmetic_is_unknown(recorded: bytes) -> None:
    assert arithmetic.differences(recorded, {"engine": "torch"}) == "unknown, here torch"


def test_no_kernel_is_chosen_by_timing() -> None:
    """Else two runs on one machine could differ, and no name would tell."""
    prepare_torch(tiny("--system1.compile").system1)
    assert not torch.backends.cudnn.benchmark
    inductor = pytest.importorskip("torch._inductor.config")
    assert not (inductor.max_autotune or inductor.max_autotune_gemm or inductor.coordinate_descent_tuning)


def test_the_recorder_attaches_what_a_process_keeps_once(folder: Path) -> None:
    session = folder / "session"
    session.mkdir()
    RunFile(settings=tiny("--no-recorder.enabled").model_dump_json(), session=session, revision="").save(folder)
    process = Process("system1", folder, 1)
    recorder = Recorder(process)
    recorder.attach_kept()
    process.keep("system1.arithmetic.json", b"first")
    (folder / KEPT_FOLDER / ".half").write_bytes(b"not written to its end")
    recorder.attach_kept()
    process.keep("system1.arithmetic.json", b"of its second life")
    recorder.attach_kept()
    fault = messages.Fault(
        seq=0, epoch=1, stamp_ns=1, process="arms", name="a", text="b"
    )  # a session without a message is none
    recorder.record("fault", fault, codec.encode(fault))
    recorder.writer.close()
    process.close()
    assert reader.read(session / FILE_NAME).attachments == {"system1.arithmetic.json": b"first"}
