"""Write trained networks as one graph, for ONNX Runtime and OpenVINO: from frames as they are decoded to logits, probabilities and features."""

# b: clips, t: segments, n: frames or images, h, w: pixels, p: 8-bit planes of a snippet, f: features, v: verbs, n: nouns

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import ExportedNetwork
from tasks.learn.networks.checkpoints import Saved

Precision = Literal["fp32", "fp16"]
Kind = Literal["frames", "flow", "spectrogram", "sound"]
Inputs = Mapping[str, NDArray[Any]]
"""One clip: arrays by the name of the input, without the first dimension."""

Outputs = Mapping[str, NDArray[np.float32]]

OPSET = 20


@dataclass(frozen=True)
class GraphInput:
    """An input of a graph; None in `shape` is any number, the first that of clips."""

    name: str
    kind: Kind
    shape: tuple[int | None, ...]
    dtype: Literal["uint8", "float32"]


class Graph(nn.Module):
    """Maps a batch of clips to the outputs of a checkpoint, in the order of `outputs`. One crop of each frame is seen, the centre."""

    def __init__(self, saved: Saved, verb_temperature: float, noun_temperature: float) -> None:
        super().__init__()
        spec = saved.network.spec
        self.inputs = (GraphInput("frames", "frames", (None, spec.num_frames, None, None, 3), "uint8"),)
        self.heads = ("verb", "noun") if saved.classes.has_objects else ("verb",)
        self.temperatures = (verb_temperature, noun_temperature)
        self.outputs = (*(f"{head}_logits" for head in self.heads), *(f"{head}_probabilities" for head in self.heads), "features")
        self.member = ExportedNetwork(prepare(saved.network))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map inputs, as `inputs` describes them, to outputs (b, ...)."""
        (frames,) = inputs
        network = self.member.network
        features = network.features(self.member.snippets(frames, scales=True))
        logits = network.head(features)[: len(self.heads)]
        probabilities = ((own / degrees).softmax(1) for own, degrees in zip(logits, self.temperatures, strict=False))
        return (*logits, *probabilities, features.flatten(1, -2).mean(1))


def make_graph(saved: Saved, verb_temperature: float, noun_temperature: float) -> Graph:
    """Make the graph of a checkpoint, whose networks are prepared in place.

    Raises:
        BadConfiguration: a network of it cannot be exported; the message names it and why.
    """
    return Graph(saved, verb_temperature, noun_temperature).eval()


def write_onnx(graph: Graph, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
    """Write a graph as one ONNX file, checked by onnx.

    Raises:
        BadConfiguration: of `fp16`, or the graph cannot be traced.
    """
    import onnx

    if precision == "fp16":
        raise BadConfiguration("ONNX is written as fp32 only, because ONNX Runtime computes fp16 slowly on CPUs; choose format openvino")
    program = torch.onnx.export(
        _traced(graph),
        opset_version=OPSET,
        input_names=[one.name for one in graph.inputs],
        output_names=list(graph.outputs),
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101 - for mypy; it is None without dynamo alone
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def write_openvino(graph: Graph, path: Path, metadata: Mapping[str, str], precision: Precision) -> None:
    """Write a graph as OpenVINO's `path` and the .bin beside it.

    Raises:
        BadConfiguration: the graph cannot be traced or converted.
    """
    import openvino

    with tempfile.TemporaryDirectory(prefix="retake-graph-") as folder:
        source = Path(folder, "model.onnx")
        write_onnx(graph, source, {}, "fp32")
        model = openvino.Core().read_model(source)
        for key, value in metadata.items():
            model.set_rt_info(value, key.split())
        openvino.save_model(model, path, compress_to_fp16=precision == "fp16")


def run(path: Path, inputs: Sequence[Inputs], batch_size: int = 1) -> list[Outputs]:
    """Answer clips by a written model, an .onnx or an OpenVINO .xml."""
    batches = [inputs[start : start + batch_size] for start in range(0, len(inputs), batch_size)]
    return [outputs for batch in batches for outputs in _answer(path, batch)]


def _answer(path: Path, clips: Sequence[Inputs]) -> Iterator[Outputs]:
    batch = {name: np.stack([clip[name] for clip in clips]) for name in clips[0]}
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        arrays = dict(zip(names, session.run(names, batch), strict=True))
    else:
        import openvino

        model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        arrays = {output.get_any_name(): array for output, array in model(batch).items()}
    for i in range(len(clips)):
        yield {name: array[i] for name, array in arrays.items()}


def _traced(graph: Graph) -> torch.export.ExportedProgram:
    """Trace a graph for any number of clips and any size of frames."""
    examples = [_example(one) for one in graph.inputs]
    dynamic = tuple({i: torch.export.Dim.DYNAMIC for i, size in enumerate(one.shape) if size is None} for one in graph.inputs)
    return torch.export.export(graph, tuple(examples), dynamic_shapes=(dynamic,))


def _example(described: GraphInput) -> Tensor:
    # No two sizes are equal, because tracing would take them for one.
    shape = [size or free for size, free in zip(described.shape, (2, 0, 270, 340, 0), strict=True)]
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
