"""Fill in the contract of a package from its network's training and measurements."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version as version_of

from tasks.learn.engines.graph import OPSET, Graph
from tasks.learn.networks.backbones import of
from tasks.learn.networks.checkpoints import Saved
from tasks.options import Weights
from tasks.pipeline.export._models import Written
from tasks.predict.probabilities import Served, Threshold
from tasks.served.package.contract import Contract, Registered, Score, Size, input_of, window_of
from tasks.settings import MachineSettings, load
from tasks.store.records.dataset import Manifest
from tasks.store.records.export import PackageFormat, PackedNetwork
from tasks.store.records.training import PlanResult
from tasks.wording import count

RUNTIMES = {"onnx": ("onnx", "onnxruntime"), "openvino": ("openvino",)}


def contract_of(
    registered: Registered,
    plan: PlanResult,
    manifest: Manifest,
    saved: Saved,
    graph: Graph,
    packed: PackedNetwork,
    model_format: PackageFormat,
    written: Written,
    served: Served,
    threshold: Threshold,
    tolerance: Mapping[Size, float],
    max_difference: float,
) -> Contract:
    """Write the contract.

    Args:
        registered: the version, or its student.
        plan: of its training.
        manifest: of its dataset.
        saved: its networks.
        graph: of these, as it was written.
        packed: the measurements.
        model_format: of the file.
        written: in the precision that is delivered.
        served: the temperatures that the graph divides by.
        threshold: from which intervals are reported.
        tolerance: for logits in the check.
        max_difference: of a logit from PyTorch's, on the scored clips.
    """
    window = window_of(manifest.segment.on_grid)
    return Contract(
        registered=registered,
        format=model_format,
        precision=written.precision,
        refused=written.refused,
        window=window,
        inputs=tuple(
            input_of(own.name, own.kind, own.shape, own.dtype, network.spec, window)
            for own, network in zip(graph.inputs, saved.networks, strict=True)
        ),
        outputs=graph.outputs,
        verbs=saved.classes.verbs,
        nouns=saved.classes.nouns,
        pairs=manifest.train_actions,
        nothing=manifest.vocabulary.nothing_verb,
        verb_temperature=served.verb,
        noun_temperature=served.noun,
        calibration=served.words,
        threshold=threshold.probability,
        reports=threshold.reports,
        interval_words=threshold.words,
        tolerance=tolerance,
        max_difference=max_difference,
        weights_licence=_licence(plan, saved),
        versions={
            "retake": load(MachineSettings).code_version,
            "opset": str(OPSET),
            **{name: version_of(name) for name in ("torch", *RUNTIMES[model_format])},
        },
        scores=tuple(
            Score(
                split=score.split,
                target=score.target,
                top1=score.top1,
                interval=score.top1_interval,
                num_clips=score.num_clips,
                num_recordings=score.num_sources,
            )
            for score in packed.scores
        ),
        hardware=f"{packed.hardware['device_name']}, {count(int(packed.hardware['num_cores']), 'core')}",
    )


def _licence(plan: PlanResult, saved: Saved) -> str:
    """Name the known licences of published weights that the training started from."""
    if plan.weights.weights is not Weights.IMAGENET:
        return ""
    licences: Sequence[str] = sorted({of(network.spec).licence for network in saved.networks} - {""})
    return ", ".join(licences)
