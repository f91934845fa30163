"""Write a network in a format and precision, and judge the loss of int8."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tasks.errors import BadConfiguration
from tasks.judge.statistics.metrics import with_actions
from tasks.learn.engines.choice import spread
from tasks.learn.engines.graph import Graph, write_onnx, write_openvino
from tasks.learn.engines.written import quantise
from tasks.options import ExportOptions
from tasks.pipeline._step import log
from tasks.pipeline.export._answers import Answers, Clips, change_of, largest_difference, refusal_of_int8, right_of
from tasks.served.package.sample import SHARES_OF_STD
from tasks.served.package.write import TITLES
from tasks.store.records.export import FloatPrecision, PackageFormat, PackagePrecision
from tasks.wording import count

Write = Callable[[Graph, Path, FloatPrecision], None]
WRITERS: Mapping[PackageFormat, tuple[str, Write]] = {"onnx": ("model.onnx", write_onnx), "openvino": ("model.xml", write_openvino)}
"""The file of each format, and its writer."""

BEST_FLOAT: Mapping[PackageFormat, FloatPrecision] = {"onnx": "fp32", "openvino": "fp16"}
"""What is delivered where int8 is refused. OpenVINO's fp16 weights halve the file, and answer as fp32 do."""

NUM_CALIBRATED, NUM_VALIDATED = 64, 64
"""Training clips that int8 is calibrated on, and further ones on which it may not lose. Val, which judges it, has no part in either."""


@dataclass(frozen=True)
class Written:
    """A written model, its answers by split, and why another precision was refused."""

    precision: PackagePrecision
    path: Path
    answers: Answers
    refused: str = ""


def write(graph: Graph, options: ExportOptions, clips: Clips, reference: Answers, folder: Path) -> Written:
    """Write the network as asked for, and answer the clips by it.

    Where int8 is refused, the best floating precision is delivered.
    """
    if options.precision != "int8":
        return _written_in_float(graph, options.format, options.precision, clips, reference, folder)
    in_float = _written_in_float(graph, options.format, "fp32", clips, reference, folder)
    path = folder / "int8" / in_float.path.name
    shutil.copytree(in_float.path.parent, path.parent)
    train = clips.of_split("train")
    calibrating, validating = spread(train[::2], NUM_CALIBRATED), spread(train[1::2], NUM_VALIDATED)
    log.info("quantising on %s, and trying %s", count(len(calibrating), "training clip"), count(len(validating), "further clip"))
    margin = options.max_drop_points / 100
    quantised = quantise(
        path, clips.inputs(calibrating, graph), clips.inputs(validating, graph), lambda own: right_of(own, validating), margin
    )
    log.info("%d of %d quantisers taken back, %.0f s", quantised.num_reverted, quantised.num_quantisers, quantised.seconds)
    answers = clips.answers(clips.by_model(path, graph), f"{TITLES[options.format]} in int8")
    change = change_of(answers["val"], in_float.answers["val"], clips.vocabulary)
    best = BEST_FLOAT[options.format]
    num_clips = len(with_actions(answers["val"], clips.vocabulary).uids)
    if not (refused := refusal_of_int8(change, num_clips, options.max_drop_points, best)):
        return Written("int8", path, answers)
    log.warning("%s", refused)
    delivered = in_float if best == "fp32" else _written_in_float(graph, options.format, best, clips, reference, folder)
    return replace(delivered, refused=refused)


def _written_in_float(
    graph: Graph, model_format: PackageFormat, precision: FloatPrecision, clips: Clips, reference: Answers, folder: Path
) -> Written:
    """Write the network, and answer the clips by it.

    Raises:
        BadConfiguration: it answers otherwise than in PyTorch.
    """
    title, (file_name, write_as) = TITLES[model_format], WRITERS[model_format]
    path = folder / precision / file_name
    path.parent.mkdir()
    log.info("writing %s in %s", title, precision)
    write_as(graph, path, precision)
    answers = clips.answers(clips.by_model(path, graph), f"{title} in {precision}")
    differs = max(largest_difference(own, reference[split]) for split, own in answers.items())
    allowed = SHARES_OF_STD[precision]["cut"] * min(float(own.verb_logits.std()) for own in reference.values())
    if not differs <= allowed:  # also of what is no number
        raise BadConfiguration(
            f"{title} in {precision} answers otherwise than PyTorch: a logit differs by {differs:.3g}, and {allowed:.3g} is allowed; "
            "choose another format or precision"
        )
    return Written(precision, path, answers)
