"""Run, quantise and describe models that are written as ONNX or OpenVINO."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadConfiguration
from tasks.learn.engines.openvino import openvino_core
from tasks.learn.hardware import silenced
from tasks.learn.networks.weights_file import first_line
from tasks.store.records.export import FloatPrecision

Inputs = Mapping[str, NDArray[Any]]
"""One clip: arrays by the name of their input, without the dimension of clips."""

Outputs = Mapping[str, NDArray[np.float32]]
"""Answers to one clip, likewise."""

Answerer = Callable[[Sequence[Inputs]], list[Outputs]]
"""Answers clips in one batch."""

SCALING = "scaling/"
"""Begins the names of nodes that make crops of frames, which stay in floating point."""


@dataclass(frozen=True)
class Quantised:
    """Result of a quantisation: right answers by validation clip, and quantisers that were taken back."""

    right_in_float: tuple[bool, ...]
    right_in_int8: tuple[bool, ...]
    num_quantisers: int
    num_reverted: int
    seconds: float


def quantise(
    path: Path, calibration: Sequence[Inputs], validation: Sequence[Inputs], correct: Callable[[list[Outputs]], list[bool]], max_drop: float
) -> Quantised:
    """Turn a written fp32 model into int8, in place, except crops of frames.

    Args:
        path: the model of either format.
        calibration: clips whose activations set the ranges.
        validation: other clips.
        correct: tells which answers to `validation` are right.
        max_drop: share of right answers; if more are lost, the parts that cost most stay in floating point.

    Raises:
        BadConfiguration: nothing of it can be quantised, NNCF is not installed, or there are no clips.
    """
    started = time.monotonic()
    if not (calibration and validation):
        raise BadConfiguration(
            "int8 takes two training clips or more: one to calibrate, one to see what it costs; choose precision fp32 or fp16"
        )
    with silenced():
        try:
            import nncf  # type: ignore[import-untyped]  # only for int8: importing takes seconds
        except ModuleNotFoundError:
            raise BadConfiguration(
                "precision int8 needs the package nncf, which is for x86-64; choose fp32 or fp16, or export there"
            ) from None
        logging.getLogger("nncf").setLevel(logging.WARNING)
    answer = answerer(path)
    answers = [outputs for clip in validation for outputs in answer([clip])]
    before = correct(answers)

    def validate(model: object, numbers: Iterable[int]) -> tuple[float, list[float]]:
        # Ranking asks for a part of the clips; `correct` knows them all.
        asked = list(numbers)
        answer = _answerer(model)
        own = {i: answer([validation[i]])[0] for i in asked}
        right = correct([own.get(i, outputs) for i, outputs in enumerate(answers)])
        return sum(right[i] for i in asked) / len(asked), [float(right[i]) for i in asked]

    with silenced():
        choice = {
            "calibration_dataset": nncf.Dataset([{name: own[None] for name, own in clip.items()} for clip in calibration]),
            "subset_size": len(calibration),
            "ignored_scope": nncf.IgnoredScope(patterns=[f"{SCALING}.*"], validate=False),
        }
        try:
            model = nncf.quantize(_loaded(path), **choice)
            num_whole, (share, _) = _num_quantisers(model), validate(model, range(len(validation)))
            if sum(before) / len(before) - share > max_drop:
                numbers = nncf.Dataset(range(len(validation)))
                model = nncf.quantize_with_accuracy_control(
                    _loaded(path), validation_dataset=numbers, validation_fn=validate, max_drop=max_drop, **choice
                )
        except Exception as error:  # NNCF's errors share no other base class
            raise BadConfiguration(f"{path.name}: cannot be quantised ({first_line(error)}); choose precision fp32 or fp16") from error
    num_reverted = num_whole - _num_quantisers(model)
    _, right = validate(model, range(len(validation)))
    save(model, path)
    return Quantised(tuple(before), tuple(map(bool, right)), num_whole, num_reverted, time.monotonic() - started)


def describe(path: Path, metadata: Mapping[str, str]) -> None:
    """Write metadata into a written model, in place."""
    model = _loaded(path)
    if path.suffix == ".onnx":
        import onnx

        onnx.helper.set_model_props(model, dict(metadata))
    else:
        for key, value in metadata.items():
            model.set_rt_info(value, key.split())
    save(model, path)


def _loaded(path: Path) -> Any:  # noqa: ANN401 - of either library
    """Read a model without mapping its file into memory, which is to be written."""
    if path.suffix == ".onnx":
        import onnx

        return onnx.load(path)
    return openvino_core().read_model(path, config={"ENABLE_MMAP": False})


def save(model: Any, path: Path, precision: FloatPrecision = "fp32") -> None:  # noqa: ANN401 - of either library
    """Write a model of either library."""
    if path.suffix == ".onnx":
        import onnx

        onnx.save(model, path)
        return
    with silenced():
        import openvino  # type: ignore[import-untyped]
    openvino.save_model(model, path, compress_to_fp16=precision == "fp16")


def _num_quantisers(model: Any) -> int:  # noqa: ANN401 - of either library
    nodes = [node.op_type for node in model.graph.node] if hasattr(model, "graph") else [node.get_type_name() for node in model.get_ops()]
    return sum(kind in ("QuantizeLinear", "FakeQuantize") for kind in nodes)


def answerer(path: Path) -> Answerer:
    """Load a written model, an .onnx or OpenVINO's .xml, to answer in float32."""
    return _answerer(_loaded(path))


def _answerer(model: Any) -> Answerer:  # noqa: ANN401 - of either library
    infer: Callable[[Inputs], Outputs]
    if hasattr(model, "SerializeToString"):
        import onnxruntime  # type: ignore[import-untyped]

        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        infer = lambda batch: dict(zip(names, session.run(names, batch), strict=True))  # noqa: E731
    else:
        # NNCF gives models that it has compiled itself.
        compiled = openvino_core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}) if hasattr(model, "get_ops") else model
        infer = lambda batch: {output.get_any_name(): array for output, array in compiled(batch).items()}  # noqa: E731

    def answer(clips: Sequence[Inputs]) -> list[Outputs]:
        arrays = infer({name: np.stack([clip[name] for clip in clips]) for name in clips[0]})
        return [{name: array[i] for name, array in arrays.items()} for i in range(len(clips))]

    return answer
