"""Decides which videos are predicted and by which networks; takes new videos into the store, and refuses those that were trained on."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tasks.dataset.split_file import read_split_csv
from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.options import EvaluateOptions, PredictOptions, SegmentOptions, content_key, recipe_of
from tasks.results.dataset import DatasetResult, LabelsFile, Manifest
from tasks.results.prediction import KnownLabel, KnownLabels, PredictedVideo, PredictionBatch, PredictPlanResult, PredictReportResult
from tasks.results.record import SetAside
from tasks.results.video import BatchRef, VideoRecord
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.steps._inputs import labels_out, probe_objects
from tasks.steps._predictors import Found, baseline_of, registered
from tasks.steps._step import StepArguments, finish, log, result_uri
from tasks.steps._taking import Offer, Taker, TakingArguments, offers
from tasks.steps.ingest import batch_size
from tasks.steps.split import split_file_uri
from tasks.storage import Store
from tasks.tracking import Registry

NUM_THREADS = 4
TRAINED_ON = "it was trained on; allow_trained predicts it all the same"


class Arguments(StepArguments, PredictOptions, EvaluateOptions):
    """What a person chose."""


@dataclass(frozen=True)
class Videos:
    """The videos that are predicted, by their names in order, and what is left out with its reason."""

    taken: tuple[PredictedVideo, ...]
    set_aside: tuple[SetAside, ...]


def run(arguments: Arguments, store: Store) -> PredictPlanResult:
    """Fix everything that the later steps need.

    Raises:
        BadInput: there is no such model, or no video that can be predicted.
        NothingToDo: these videos were predicted by these networks before; the message leads to the page.
    """
    plan = decide(arguments, store)
    if earlier := finished_report(plan, store):
        raise NothingToDo(f"these videos were predicted by these networks before: {earlier.report_url}")
    return finish(store, arguments.out, plan)


def finished_report(plan: PredictPlanResult, store: Store) -> PredictReportResult | None:
    """What an earlier run with the same inputs ended with."""
    uri = result_uri(f"{plan.prediction_uri}report/")
    return store.read(uri, PredictReportResult) if store.exists(uri) else None


def decide(arguments: Arguments, store: Store) -> PredictPlanResult:
    """The plan, which lies under its own address for the later steps; errors as of `run`."""
    store.ensure_bucket(arguments.store)
    registry = Registry.from_settings(load(MlflowSettings))
    model = registered(arguments.model, arguments.store, store, registry)
    against, missing = _against(arguments, model, store, registry)
    dataset_uris = _dataset_uris(arguments.store, [model, *([against] if against else [])], store)
    manifests = [store.read(f"{uri}manifest.json", Manifest) for uri in dataset_uris]
    segment = manifests[0].segment if manifests else SegmentOptions()
    videos = _videos(arguments, _trained_on(arguments.store, manifests, store), store)
    labels = _labels(arguments.store, recipe_of(segment), videos.taken, manifests, store)
    evaluate, predict = arguments.picked(EvaluateOptions), arguments.picked(PredictOptions)
    for one in (*missing, *(f"{bad.name}: {bad.reason}" for bad in videos.set_aside)):
        log.warning("left out: %s", one)
    inputs = {
        "videos": [video.model_dump() for video in videos.taken],
        "set_aside": [bad.model_dump() for bad in videos.set_aside],
        "networks": [found.predictor.model_dump() for found in (model, against) if found],
        "missing": missing,
        "segment": segment.model_dump(mode="json"),
        "evaluate": evaluate.model_dump(mode="json"),
        "predict": predict.model_dump(mode="json", include={"num_to_label", "preview"}),
        "labels": labels.model_dump(mode="json"),
        "code": load(MachineSettings).code_version,
    }
    key = content_key(inputs)
    prediction_uri = f"{arguments.store}/predictions/{key}/"
    store.write(f"{prediction_uri}labels.json", labels)
    plan = PredictPlanResult(
        key=key,
        prediction_uri=prediction_uri,
        store=arguments.store,
        segment=segment,
        evaluate=evaluate,
        predict=predict,
        model=model.predictor,
        against=against.predictor if against else None,
        missing=missing,
        run_uri=model.run_uri,
        dataset_uris=dataset_uris,
        set_aside=videos.set_aside,
        num_videos=len(videos.taken),
        batches=_write_batches(prediction_uri, videos.taken, store),
    )
    log.info("%d videos by %s%s", plan.num_videos, model.predictor.label, f" and {against.predictor.label}" if against else "")
    return finish(store, f"{prediction_uri}plan/", plan)


def _against(arguments: Arguments, model: Found, store: Store, registry: Registry) -> tuple[Found | None, tuple[str, ...]]:
    """The second network; where it cannot be had, why, for the first one goes on alone."""
    if arguments.against == "none":
        return None, ()
    try:
        if arguments.against == "baseline":
            found = baseline_of(model, store)
        else:
            found = registered(arguments.against, arguments.store, store, registry)
    except BadInput as error:
        return None, (str(error),)
    if found.predictor.checkpoint_sha256 == model.predictor.checkpoint_sha256:
        raise BadConfiguration(f"against: {arguments.against} is {model.predictor.label} itself; name another version, baseline or none")
    return found, ()


def _dataset_uris(store_uri: str, networks: Sequence[Found], store: Store) -> tuple[str, ...]:
    """The datasets that the networks were trained on; the latest of the store where nothing is known of the model's."""
    uris = [found.plans[0].dataset_uri for found in networks if found.plans]
    latest = f"{store_uri}/datasets/result.json"
    if not uris and store.exists(latest):
        uris = [store.read(latest, DatasetResult).dataset_uri]
    return tuple(uri for uri in dict.fromkeys(uris) if store.exists(f"{uri}manifest.json"))


def _trained_on(store_uri: str, manifests: Iterable[Manifest], store: Store) -> frozenset[str]:
    """Contents of which clips were in train of a network's dataset, or are to be, by the split file."""
    found = {clip.video for manifest in manifests for clip in manifest.clips if clip.split == "train"}
    uri = split_file_uri(store_uri)
    if store.exists(uri):
        found |= {name for name, split in read_split_csv(store.read_bytes(uri)).items() if split == "train"}
    return frozenset(found)


def _videos(arguments: Arguments, trained_on: frozenset[str], store: Store) -> Videos:
    """What is asked for, less what cannot be used and what was trained on.

    Raises:
        BadInput: nothing is left.
        NothingToDo: nothing was asked for, and every ingested video was trained on.
    """
    found, bad = _asked_for(arguments, store) if arguments.videos else (_ingested(arguments.store, store), [])
    refused = [] if arguments.allow_trained else [video for video in found if video.video in trained_on]
    taken = [video for video in found if video not in refused]
    if arguments.videos:
        bad += [SetAside(name=video.name, reason=TRAINED_ON) for video in refused]
        if not taken:
            reasons = "; ".join(f"{one.name}: {one.reason}" for one in bad) or f"{', '.join(arguments.videos)}: no video is there"
            raise BadInput(f"nothing to predict: {reasons}")
    elif not taken:
        raise NothingToDo(
            f"{arguments.store} has no video that was not trained on; name videos, or allow_trained"
            if found
            else "no video was ingested yet"
        )
    return Videos(tuple(taken), tuple(bad))


def _asked_for(arguments: Arguments, store: Store) -> tuple[list[PredictedVideo], list[SetAside]]:
    taking = TakingArguments(store=arguments.store, out=arguments.out, sources=arguments.videos)
    bad: list[SetAside] = []
    found: list[Offer] = []
    for source in arguments.videos:
        try:
            offered = offers(taking.model_copy(update={"sources": [source]}), store)
            found += [offer for offer in offered if not offer.is_annotation]
        except BadInput as error:
            bad.append(SetAside(name=source, reason=str(error).removeprefix(f"{source} ")))
    taker = Taker(taking, store, load(MachineSettings).allow_private_addresses)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        seen = list(pool.map(taker.take_video, found))
    bad += [SetAside(name=file.name, reason=file.reason) for file in seen if file.reason]
    names = {file.video: file.name for file in reversed(seen) if file.video}
    return _in_order(PredictedVideo(video=video, name=name) for video, name in names.items()), bad


def _ingested(store_uri: str, store: Store) -> list[PredictedVideo]:
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        records = list(pool.map(lambda probe: store.read(probe.uri, VideoRecord), probe_objects(store, store_uri)))
    return _in_order(PredictedVideo(video=record.video, name=record.names[0]) for record in records)


def _in_order(videos: Iterable[PredictedVideo]) -> list[PredictedVideo]:
    return sorted(videos, key=lambda video: (video.name, video.video))


def _labels(store_uri: str, recipe: str, videos: Sequence[PredictedVideo], manifests: Iterable[Manifest], store: Store) -> KnownLabels:
    """What people say of the clips of these videos: the latest labels, and else those of the datasets."""
    wanted = {video.video for video in videos}
    found: dict[str, KnownLabel] = {}
    for clip in (clip for manifest in manifests for clip in manifest.clips if clip.video in wanted):
        found[clip.uid] = KnownLabel(uid=clip.uid, source=clip.source, verb_class=clip.verb_class, noun_class=clip.noun_class)
    uri = f"{labels_out(store_uri, recipe)}labels.json"
    for one in store.read(uri, LabelsFile).clips if store.exists(uri) else ():
        if one.clip.video in wanted and one.verb_class is not None and one.noun_class is not None:
            found[one.clip.uid] = KnownLabel(uid=one.clip.uid, source=one.source, verb_class=one.verb_class, noun_class=one.noun_class)
    return KnownLabels(labels=tuple(found[uid] for uid in sorted(found)))


def _write_batches(prediction_uri: str, videos: Sequence[PredictedVideo], store: Store) -> tuple[BatchRef, ...]:
    """As many a mapped task as an ingest cuts: each task fetches both networks and makes their engines ready."""
    size = batch_size(len(videos))
    batches = []
    for number, start in enumerate(range(0, len(videos), size)):
        batch = videos[start : start + size]
        uri = f"{prediction_uri}batches/{number:04d}.json"
        store.write(uri, PredictionBatch(videos=tuple(batch)))
        name = batch[0].name if len(batch) == 1 else f"{batch[0].name} and {len(batch) - 1} more"
        batches.append(BatchRef(uri=uri, name=name, out=f"{prediction_uri}batches/{number:04d}/"))
    return tuple(batches)
