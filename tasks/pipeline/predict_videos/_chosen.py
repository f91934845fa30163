"""Find the networks that predict, with their checkpoints, temperatures, classes and datasets."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from tasks.data.clips.gather_labels import epic_classes
from tasks.data.clips.label_inputs import own_classes
from tasks.data.labels.vocabulary import NOUNS, VERBS
from tasks.errors import BadInput
from tasks.pipeline._calibration import Fitted, fitted
from tasks.pipeline._plans import flows_of, plans_of, run_of, sounds_of
from tasks.predict.scored_video import Names
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import ClassRef, DatasetClip, Vocabulary
from tasks.store.records.prediction import Predictor, PredictorRole, PredictPlanResult
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Run, run_holding
from tasks.tracking import Registry


def _vocabulary(verbs: Mapping[str, int], nouns: Mapping[str, int]) -> Vocabulary:
    return Vocabulary(
        verbs=tuple(ClassRef(id=i, name=name) for name, i in verbs.items()),
        nouns=tuple(ClassRef(id=i, name=name) for name, i in nouns.items()),
    )


SHIPPED = _vocabulary(VERBS, NOUNS)


@dataclass(frozen=True)
class NetworkWithPlans:
    """A network and the plans of its training in the store, the latest first.

    A baseline has no run, and the plans of the training that began with it.
    """

    predictor: Predictor
    run_uri: str | None
    plans: tuple[PlanResult, ...]

    @property
    def trainings(self) -> tuple[Run, ...]:
        """Return its training, or those that a baseline was made by."""
        if self.run_uri:
            return (Run(self.run_uri),)
        return tuple(run for plan in self.plans[:1] for run in map(run_holding, plan.started_from) if run)


def registered(
    reference: str,
    store_uri: str,
    crops: int,
    store: Store,
    registry: Registry,
    precision: float | None = None,
    *,
    known_pairs: bool = False,
) -> NetworkWithPlans:
    """Find a registered network, with temperatures fitted at this number of crops.

    Args:
        crops: without scores at this number, the temperatures are those of another number, which is named.
        precision: of intervals; fits their threshold.
        known_pairs: whether it answers the actions of its training clips alone.

    Raises:
        BadInput: there is no such version, or its checkpoint is gone.
    """
    name, version = registry.resolve(reference)
    label = f"{name} version {version.version}"
    if not store.exists(version.checkpoint_uri):
        raise BadInput(f"the checkpoint of {label}, {version.checkpoint_uri}, is gone from the store; choose another version")
    run = run_of(version, store_uri)
    plans = plans_of(run, store)
    network = plans[0].weights.network if plans else "a network whose training this store does not have"
    dataset = Dataset(plans[0].dataset_uri).manifest if plans else None
    actions = store.read(dataset).train_actions if known_pairs and dataset and store.exists(dataset.uri) else ()
    measured = fitted(plans, "fine-tuned", crops, store, precision, actions)
    predictor = _predictor(label, network, version.checkpoint_uri, version.checkpoint_sha256, plans, measured)
    marked = predictor.model_copy(update={"provisional": version.provisional, "actions": actions})
    return NetworkWithPlans(marked, run.folder_uri if plans else None, plans)


def baseline_of(model: NetworkWithPlans, crops: int, store: Store, precision: float | None = None) -> NetworkWithPlans:
    """Find the network that a training began with; raise BadInput if it is gone."""
    if not model.plans:
        raise BadInput(f"the baseline of {model.predictor.label} is not known: the store has no plan of its training")
    weights = model.plans[0].weights
    if not store.exists(weights.uri):
        raise BadInput(
            f"the baseline of {model.predictor.label} ({weights.description}) was never fetched, or is gone: {weights.uri} is not in the "
            "store; the step weights fetches it"
        )
    known = fitted(model.plans, "baseline", crops, store, precision)
    return NetworkWithPlans(_predictor("baseline", weights.description, weights.uri, weights.sha256, model.plans, known), None, model.plans)


def names_of(plan: PredictPlanResult, store: Store, verb_alone: Collection[PredictorRole]) -> Names:
    """Name the classes by datasets, shipped names, the store's or EPIC's lists."""
    own = own_classes(store, plan.store)
    datasets = (store.read(Dataset(uri).manifest).vocabulary for uri in plan.dataset_uris)
    names = Names.of([*datasets, SHIPPED, _vocabulary(own.verbs, own.nouns), epic_classes(store, plan.store)])
    return names.of_verbs() if "model" in verb_alone else names


def dataset_clips(plan: PredictPlanResult, store: Store) -> tuple[DatasetClip, ...]:
    """List the clips of the model's dataset; empty if it is unknown or gone."""
    return () if plan.model_dataset_uri is None else store.read(Dataset(plan.model_dataset_uri).manifest).clips


def _predictor(label: str, description: str, uri: str, sha256: str, plans: Sequence[PlanResult], known: Fitted) -> Predictor:
    served, threshold = known
    return Predictor(
        label=label,
        description=description,
        checkpoint_uri=uri,
        checkpoint_sha256=sha256,
        flows=flows_of(plans[0]) if plans else (),
        sounds=sounds_of(plans[0]) if plans else (),
        verb_temperature=served.verb,
        noun_temperature=served.noun,
        is_calibrated=served.is_calibrated,
        calibration=served.words,
        calibration_crops=served.crops,
        interval_threshold=threshold.probability,
        reports_intervals=threshold.reports,
        interval_words=threshold.words,
    )
