"""One network's computation as an ONNX graph: written from torch once, then run by ONNX Runtime, on a CPU in float32.

Called by models/graphs/folder.py and both systems there. The graph is written by torch's TorchScript exporter: its successor
takes 39 s for a chunk's graph, this one 3 s.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.errors import ModelError

_OPSET = 17  # the newest that this exporter writes
_AGAIN = "delete it; it is written again at the next start"


class Graph:
    """A graph of a file. The same inputs give the same bytes, on one processor with one number of threads."""

    def __init__(self, path: Path, threads: int) -> None:
        """Read it. Raises ModelError for a file that is no graph of this ONNX Runtime."""
        import onnxruntime  # 0.2 s, and not needed where torch computes

        options: Any = _options(threads)
        # Done when it was written.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  onnxruntime's errors have no common base
            raise ModelError(f"{path}: cannot be read ({' '.join(str(error).split())[:120]}); {_AGAIN}") from None
        self._names = {node.name for node in self._session.get_inputs()}

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        """Compute the outputs, in the order of the network's.

        Args:
            inputs: by their names in `written`, float32 or bool on the CPU; one that has no influence may be missing there.
        """
        given: dict[str, NDArray[np.generic]] = {
            name: tensor.numpy() for name, tensor in inputs.items() if name in self._names
        }
        return [torch.from_numpy(output) for output in self._session.run(None, given)]


def written(
    path: Path, network: nn.Module, inputs: Mapping[str, torch.Tensor], lengths: Mapping[str, Mapping[int, str]]
) -> None:
    """Write a network's graph, ready for this processor; whole or not at all.

    Args:
        path: to be written.
        network: called with the inputs in their order; float32 on the CPU, in evaluation mode.
        inputs: examples by name. All sizes become fixed but those of `lengths`.
        lengths: of an input the dimensions that may differ from call to call, each with its own name.

    Raises:
        ModelError: it cannot be written, for want of space or of an operation in ONNX.
    """
    import onnxruntime

    # Names of its own: several processes may find at once that a graph is not there.
    plain, ready = (path.with_name(f"{path.stem}.{os.getpid()}.{kind}") for kind in ("plain", "ready"))
    torch.onnx.register_custom_op_symbolic("aten::rms_norm", _rms_norm, _OPSET)  # pyright: ignore[reportPrivateImportUsage]
    # What inference mode made cannot be traced.
    examples = tuple(torch.from_numpy(tensor.detach().numpy().copy()) for tensor in inputs.values())
    try:
        with torch.no_grad(), torch.inference_mode(False), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the exporter is the older one, and that sizes become fixed
            torch.onnx.export(
                network, examples, plain, dynamo=False, opset_version=_OPSET, input_names=list(inputs),
                dynamic_axes=dict(lengths),
            )  # fmt: skip
        options: Any = _options(1)
        options.optimized_model_filepath = str(ready)
        options.log_severity_level = 3  # it warns that the file suits this processor only, which is wanted
        onnxruntime.InferenceSession(plain, options, providers=["CPUExecutionProvider"])
        ready.rename(path)
    except Exception as error:  # noqa: BLE001  onnxruntime's and the exporter's errors have no common base
        why = " ".join(str(error).split())[:160]
        raise ModelError(f"{path}: cannot be written ({why}); free disk space, or give engine torch") from None
    finally:
        for left in (plain, ready):
            left.unlink(missing_ok=True)


def _options(threads: int) -> Any:
    import onnxruntime

    options: Any = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.use_deterministic_compute = True
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads sleep: others need the core
    return options


@torch.onnx.symbolic_helper.parse_args("v", "is", "v", "f")  # pyright: ignore[reportPrivateImportUsage]
def _rms_norm(graph: Any, x: Any, shape: list[int], weight: Any, epsilon: float) -> Any:
    """RMSNorm over the last axis: ONNX Runtime's own operation, which the exporter does not know."""
    if weight.node().mustBeNone():
        weight = graph.op("Constant", value_t=torch.ones(shape))
    return graph.op("SimplifiedLayerNormalization", x, weight, epsilon_f=epsilon, axis_i=-1).setType(x.type())
