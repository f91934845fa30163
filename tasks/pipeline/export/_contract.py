"""Fill in the contract of a package from its network's training and measurements."""

from collections.abc import Mapping
from importlib.metadata import version as version_of

from tasks.errors import BadInput
from tasks.learn.engines.graph import OPSET, Graph
from tasks.learn.networks.backbones import of
from tasks.learn.networks.checkpoints import Saved
from tasks.options import Weights
from tasks.pipeline._step import log
from tasks.pipeline._trained import first_weights
from tasks.pipeline.export._models import Written
from tasks.predict.probabilities import Served, Threshold
from tasks.served.package.contract import Contract, Registered, Size, input_of, window_of
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.export import PackageFormat, PackedNetwork
from tasks.store.records.training import PlanResult
from tasks.wording import count

RUNTIMES = {"onnx": ("onnx", "onnxruntime"), "openvino": ("openvino",)}


def contract_of(
    registered: Registered,
    licence: str,
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
        licence: of the weights that its training started from.
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
        inputs=tuple(input_of(own, network.spec, window) for own, network in zip(graph.inputs, saved.networks, strict=True)),
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
        weights_licence=licence,
        versions={
            "retake": load(MachineSettings).code_version,
            "opset": str(OPSET),
            **{name: version_of(name) for name in ("torch", *RUNTIMES[model_format])},
        },
        scores=packed.scores,
        hardware=f"{packed.hardware['device_name']}, {count(int(packed.hardware['num_cores']), 'core')}",
    )


def licence_of(plan: PlanResult, saved: Saved, store: Store) -> str:
    """Name the licences of the published weights that a network's first trainings began with, if they are known."""
    try:
        first = first_weights(plan, store)
    except BadInput as error:  # the plan of an earlier training is gone
        log.warning("the licence of the weights is not known: %s", error)
        return ""
    return ", ".join(sorted({of(network.spec).licence for network in saved.networks} - {""})) if first == {Weights.IMAGENET} else ""
