"""Write trained networks as one graph, from decoded frames to answers, for other runtimes."""

# b: clips, t: segments, n: frames, m: frames of a snippet, h, w: pixels, f: features, v: classes, k: networks

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.model_files import SCALING, save
from tasks.learn.engines.openvino import openvino_core
from tasks.learn.engines.pytorch import UNTRACEABLE, ExportedNetwork
from tasks.learn.hardware import silenced
from tasks.learn.networks.checkpoints import Saved
from tasks.learn.networks.joining import has_any
from tasks.learn.networks.spec import NUM_SOUND_FEATURES, NetworkSpec
from tasks.learn.networks.weights_file import first_line
from tasks.options import Modality
from tasks.store.records.export import FloatPrecision, InputKind

if TYPE_CHECKING:
    import onnx

OPSET = 20
KINDS: Mapping[Modality, InputKind] = {
    Modality.RGB: "frames",
    Modality.RGB_DIFFERENCE: "frames",
    Modality.FLOW: "flow",
    Modality.SOUND: "sound",
}


@dataclass(frozen=True)
class GraphInput:
    """An input of a graph; None in `shape` is any number, first that of clips."""

    name: str
    kind: InputKind
    shape: tuple[int | None, ...]
    dtype: Literal["uint8", "float32"]

    def example(self) -> Tensor:
        """Make noise for two clips."""
        # Tracing takes equal sizes for one.
        shape = [size or free for size, free in zip(self.shape, (2, 0, 270, 340, 0), strict=False)]
        noise = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        return noise if self.dtype == "uint8" else noise / 256


class Graph(nn.Module):
    """Maps clips to logits, probabilities and mean features, in the order of `outputs`.

    It takes one input for each network: RGB frames of any size in the order of snippets, whose centre crop is seen, fields of flow with short
    side 256, or features of sound.
    """

    def __init__(self, saved: Saved, verb_temperature: float, noun_temperature: float) -> None:
        super().__init__()
        self.members = nn.ModuleList(ExportedNetwork(prepare(network)) for network in saved.networks)
        self.joint = saved.joint
        self.specs = [network.spec for network in saved.networks]
        self.inputs = _inputs(self.specs)
        self.weights = saved.weights
        self.heads = ("verb", "noun") if saved.classes.has_objects else ("verb",)
        self.temperatures = (verb_temperature, noun_temperature)
        seen = ["features"] if len(self.members) == 1 else [f"features_{i}" for i in range(len(self.members))]
        self.outputs = (*(f"{head}_{what}" for what in ("logits", "probabilities") for head in self.heads), *seen)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map a batch of `inputs` to outputs (b, ...)."""
        features = [self._features(i, own) for i, own in enumerate(inputs)]
        logits = self._logits(features)[: len(self.heads)]
        probabilities = ((own / degrees).softmax(1) for own, degrees in zip(logits, self.temperatures, strict=False))
        return (*logits, *probabilities, *(own.mean(1) for own in features))

    def _features(self, number: int, own: Tensor) -> Tensor:
        """Compute features (b, t, f)."""
        member, spec = self.members[number], self.specs[number]
        assert isinstance(member, ExportedNetwork)  # noqa: S101 - for mypy; built so above
        if spec.sound:
            return own
        if KINDS[spec.modality] == "frames":
            own = own.reshape(own.shape[0], spec.num_segments, spec.snippet.num_frames, *own.shape[2:])
        return member.network.features(member.snippets(own, scales=own.ndim == 6))

    def _logits(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        if self.joint:
            answer: tuple[Tensor, ...] = self.joint.head(self.joint.backbone(features))
            return answer
        networks = [member.network for member in self.members if isinstance(member, ExportedNetwork)]
        answers = [network.head(own) for network, own in zip(networks, features, strict=True)]
        if len(answers) == 1:
            return tuple(answers[0])
        # A network to which the clip is silent does not count beside others.
        heard = [has_any(own) if spec.sound else torch.ones_like(has_any(own)) for own, spec in zip(features, self.specs, strict=True)]
        counting = _or_all(torch.stack(heard, 1))
        pairs = zip(zip(*answers, strict=True), zip(*self.weights, strict=True), strict=True)
        return tuple(_mean(logits, torch.tensor(shares), counting) for logits, shares in pairs)


def _inputs(specs: Sequence[NetworkSpec]) -> tuple[GraphInput, ...]:
    kinds = [KINDS[spec.modality] for spec in specs]
    names = [kind if kinds.count(kind) == 1 else f"{kind}_{kinds[:i].count(kind)}" for i, kind in enumerate(kinds)]
    return tuple(
        GraphInput(name, kind, (None, *_shape(spec)), "float32" if kind == "sound" else "uint8")
        for name, kind, spec in zip(names, kinds, specs, strict=True)
    )


def _shape(spec: NetworkSpec) -> tuple[int | None, ...]:
    if spec.sound:
        return (spec.num_segments, NUM_SOUND_FEATURES)
    if spec.modality is Modality.FLOW:
        return (spec.num_segments, None, None, spec.snippet.num_planes)
    return (spec.num_frames, None, None, 3)


def _or_all(mask: Tensor) -> Tensor:
    """Set a row (b, k) in which nothing is set."""
    return mask | ~mask.any(1, keepdim=True)


def _mean(logits: Sequence[Tensor], shares: Tensor, counting: Tensor) -> Tensor:
    """Average logits (b, v) as `logit_mean.mean_logits`, over the networks that count (b, k)."""
    fewest, *more = sorted({own.shape[1] for own in logits})
    mean = _pooled(logits, shares, counting, fewest)
    for size in more:
        pooled, known = _pooled(logits, shares, counting, size), mean.shape[1]
        odds = pooled[:, known:] - pooled[:, :known].logsumexp(1, keepdim=True)
        mean = torch.cat([mean, mean.logsumexp(1, keepdim=True) + odds], 1)
    return mean


def _pooled(logits: Sequence[Tensor], shares: Tensor, counting: Tensor, size: int) -> Tensor:
    having = [i for i, own in enumerate(logits) if own.shape[1] >= size]
    counts = _or_all(counting[:, having]).float()
    weights = counts * shares[having]
    weights = torch.where(has_any(weights)[:, None], weights, counts)
    stacked = torch.stack([logits[i][:, :size] for i in having], 1)
    return (stacked * (weights / weights.sum(1, keepdim=True))[..., None]).sum(1)


def make_graph(saved: Saved, verb_temperature: float, noun_temperature: float) -> Graph:
    """Make the graph of a checkpoint, whose networks are prepared in place."""
    return Graph(saved, verb_temperature, noun_temperature).eval()


def write_onnx(graph: Graph, path: Path, precision: FloatPrecision) -> None:
    """Write a graph as one ONNX file, checked by onnx.

    Raises:
        BadConfiguration: of fp16, or a network that cannot be exported.
    """
    # Whole numbers that frames are scaled by exceed 2048, up to which fp16 is exact.
    if precision == "fp16":
        raise BadConfiguration("precision fp16: an ONNX file is of fp32 or int8; choose one of these, or format openvino")
    save(_as_onnx(graph), path)


def write_openvino(graph: Graph, path: Path, precision: FloatPrecision) -> None:
    """Write a graph as OpenVINO's .xml and .bin; fp16 is that of weights.

    Raises:
        BadConfiguration: a network cannot be exported.
    """
    with silenced():
        from openvino import passes  # type: ignore[import-untyped]
    with tempfile.TemporaryDirectory(prefix="retake-graph-") as folder:
        source = Path(folder, "model.onnx")
        save(_as_onnx(graph), source)
        model = openvino_core().read_model(source)
        # Weights that are reshaped as the model runs keep a convolution in floating point when the rest is quantised.
        steps = passes.Manager()
        steps.register_pass(passes.ConstantFolding())
        steps.run_passes(model)
        save(model, path, precision)


def _as_onnx(graph: Graph) -> onnx.ModelProto:
    """Convert a graph for any number of clips and size of frames.

    Raises:
        BadConfiguration: it cannot be traced, or has an operation that ONNX lacks.
    """
    import onnx

    dynamic = tuple({i: torch.export.Dim.DYNAMIC for i, size in enumerate(own.shape) if size is None} for own in graph.inputs)
    examples = tuple(own.example() for own in graph.inputs)
    try:
        with silenced(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's and onnxscript's own calls
            program = torch.onnx.export(
                torch.export.export(graph, examples, dynamic_shapes=(dynamic,)),
                opset_version=OPSET,
                input_names=[own.name for own in graph.inputs],
                output_names=list(graph.outputs),
                external_data=False,
                dynamo=True,
                verbose=False,
            )
    except UNTRACEABLE as error:
        titles = " + ".join(spec.title for spec in graph.specs)
        raise BadConfiguration(f"{titles}: cannot be exported ({first_line(error)}); choose another backbone") from error
    assert program is not None  # noqa: S101 - for mypy; it is so without dynamo
    model = program.model_proto
    made_by = {name: node for node in model.graph.node for name in node.output}
    waiting = [node for node in model.graph.node if node.op_type == "Floor"]  # each crop ends with one, and no network has any
    while waiting:
        node = waiting.pop()
        if not node.name.startswith(SCALING):
            node.name = SCALING + node.name
            waiting += [made_by[name] for name in node.input if name in made_by]
    onnx.checker.check_model(model, full_check=True)
    return model
