"""Run networks by OpenVINO on CPUs, as static graphs on 8-bit images."""

# k: crops, t: segments, h, w: pixels, p: 8-bit planes, c: channels, f: features

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.learn.engines.engine import Engine, K
from tasks.learn.hardware import silenced
from tasks.learn.inputs.crops import Arrange, Frames, NumCrops
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec
from tasks.store.records.evaluation import EngineName, EnginePrecision

if TYPE_CHECKING:
    import openvino  # type: ignore[import-untyped]

NUM_STREAMS = 2
"""Number of views computed in parallel. One leaves cores idle between layers; more than two compete for the caches."""

HINTS: dict[EnginePrecision, str] = {"bfloat16": "bf16", "float32": "f32"}


class OpenvinoEngine(Engine):
    """An engine whose backbone OpenVINO converts at its first use, and runs in asynchronous streams.

    The network is on the CPU. Without `floating`, the engine takes bfloat16 if the CPU supports it, else float32.

    Raises:
        ImportError: OpenVINO is not installed.
    """

    name: ClassVar[EngineName] = "openvino"

    def __init__(self, network: Network, num_crops: NumCrops, floating: EnginePrecision | None = None) -> None:
        super().__init__(network, num_crops)
        self.precision = floating or _best_floating_point()
        batches = "single snippets" if network.spec.video else f"batches of {network.spec.num_segments} images"
        self.description = f"OpenVINO {version('openvino')}, {batches} in {NUM_STREAMS} streams"

    @cached_property
    def _graph(self) -> openvino.Model:
        return _convert(self.network)

    @cached_property
    def _compiled(self) -> openvino.CompiledModel:
        return compile_graph(self._graph, self.precision, NUM_STREAMS)

    @cached_property
    def _queue(self) -> openvino.AsyncInferQueue:
        return _ov().AsyncInferQueue(self._compiled, NUM_STREAMS)

    def features(self, views: Sequence[Frames]) -> Tensor:
        """Map views uint8 (t, 224, 224, p) to float32 (k, t, f) on the CPU.

        Raises:
            RuntimeError: OpenVINO cannot convert or compile this backbone.
        """
        parts = [part for view in views for part in _parts(view, self.network.spec)]
        outputs = dict(self._run(enumerate(parts)))
        return torch.from_numpy(np.stack([outputs[k] for k in range(len(parts))]).reshape(len(views), -1, self.network.num_features))

    def stream(self, views: Iterable[tuple[K, Frames]]) -> Iterator[tuple[K, Tensor]]:
        """Compute the features of views while the next are read; not for video networks."""
        return ((key, torch.from_numpy(features)) for key, features in self._run(views))

    def _run(self, parts: Iterable[tuple[K, Frames]]) -> Iterator[tuple[K, NDArray[np.float32]]]:
        """Run the graph on its inputs, and yield each output when it is ready."""
        ready: deque[tuple[K, NDArray[np.float32]]] = deque()

        def keep(request: Any, key: K) -> None:  # noqa: ANN401 -- OpenVINO publishes no type for it
            ready.append((key, np.array(request.get_output_tensor().data, np.float32)))

        self._queue.set_callback(keep)
        for key, part in parts:
            self._queue.start_async({0: np.ascontiguousarray(part)}, key)
            while ready:
                yield ready.popleft()
        self._queue.wait_all()
        yield from ready

    def features_in_float32(self, view: Frames) -> Tensor:
        """Run the graph in float32 on one view (t, 224, 224, p): float32 (t, f)."""
        compiled = compile_graph(self._graph, "float32", 1)
        parts = [np.array(compiled(np.ascontiguousarray(part))[0], np.float32) for part in _parts(view, self.network.spec)]
        return torch.from_numpy(np.concatenate(parts))


def _ov() -> Any:  # noqa: ANN401 -- a module
    with silenced():
        import openvino  # optional; PyTorch scores without it
    return openvino


@cache
def openvino_core() -> openvino.Core:
    """Return this process's only core."""
    # With several cores, OpenVINO crashes in a signal handler when the process ends.
    core: openvino.Core = _ov().Core()
    return core


def _best_floating_point() -> EnginePrecision:
    return "bfloat16" if "BF16" in openvino_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "float32"


def _convert(network: Network) -> openvino.Model:
    """Convert backbone and normalisation to a graph, for a video network of one snippet.

    The graph maps uint8 (t, 224, 224, p) to float32 (t, f).

    Raises:
        RuntimeError: the backbone has an operation that OpenVINO lacks, or cannot be traced.
    """
    ov = _ov()
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder  # type: ignore[import-untyped]

    expected, spec = network.input_format, network.spec
    arranged = nn.Sequential(Arrange(expected), network.backbone).eval()
    num_images, pixels = 1 if spec.video else spec.num_segments, spec.crop_pixels
    example = torch.rand(num_images, spec.snippet.num_planes, pixels, pixels, generator=torch.Generator().manual_seed(0))
    try:
        with silenced(), torch.no_grad():
            # The engine's check compares the graph's features with PyTorch's, so that torch need not run its trace again.
            decoder = TorchScriptPythonDecoder(arranged, example_input=example, trace_kwargs={"check_trace": False})
            graph = ov.convert_model(decoder, example_input=example, input=list(example.shape))
    except Exception as error:  # OpenVINO's frontends share no other base class
        raise RuntimeError(f"not converted: {error}") from error
    steps = ov.preprocess.PrePostProcessor(graph)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    images = steps.input().preprocess().convert_element_type(ov.Type.f32)
    # OpenVINO's form of (value * scale - mean) / std: (value - mean / scale) / (std / scale).
    images.mean([mean / expected.scale for mean in expected.mean]).scale([std / expected.scale for std in expected.std])
    built: openvino.Model = steps.build()
    return built


def _parts(view: Frames, spec: NetworkSpec) -> list[Frames]:
    """Split a view into inputs of the graph: single snippets of a video network."""
    return [view[i : i + 1] for i in range(len(view))] if spec.video else [view]


def compile_graph(graph: openvino.Model, precision: EnginePrecision, num_streams: int) -> openvino.CompiledModel:
    """Compile a graph for this CPU, with all cores that this process may use."""
    hints = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "NUM_STREAMS": num_streams,
        "INFERENCE_NUM_THREADS": len(os.sched_getaffinity(0)),
    }
    return openvino_core().compile_model(graph, "CPU", hints)
