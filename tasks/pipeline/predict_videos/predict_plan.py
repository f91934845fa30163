"""Plan a prediction: its networks and videos. Store new videos; refuse those trained on."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from tasks.data.clips.cut_videos import batch_size
from tasks.data.clips.gather_labels import LabelledParts, PredictedVideos, label_now, labelled_intervals
from tasks.data.clips.intake import Intake
from tasks.data.clips.label_inputs import video_records, videos_beside
from tasks.data.clips.sources import IncomingFile, incoming_files
from tasks.data.clips.stored_clips import StoredClip
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.intervals import overlap_finder, without
from tasks.data.labels.recordings import detect_recordings
from tasks.data.labels.video_names import lacks_label
from tasks.data.split.split import read_split_csv
from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.keys import content_key, options_key, recipe_of
from tasks.learn.inputs.snippets import window_grid
from tasks.options import EvaluateOptions, IngestOptions, LabelOptions, PredictOptions, SegmentOptions
from tasks.pipeline._results import finish, log
from tasks.pipeline._trained import taught_on, trained_on
from tasks.pipeline.predict_videos._chosen import NetworkWithPlans, baseline_of, registered
from tasks.pipeline.predict_videos.contract import PLAN, PredictPlanArguments
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import NOTHING, LabelledClip, Manifest
from tasks.store.records.prediction import (
    KnownLabel,
    KnownLabels,
    PredictedVideo,
    PredictionBatch,
    PredictorRole,
    PredictPlanResult,
    PredictReportResult,
)
from tasks.store.records.record import SetAside, SplitName
from tasks.store.records.video import BatchRef, Interval, VideoRecord
from tasks.store.run_layout import Prediction
from tasks.tracking import Registry
from tasks.wording import count

NUM_TAKEN_AT_ONCE, NUM_READ_AT_ONCE = 4, 16


@dataclass(frozen=True)
class Videos:
    """Videos to predict, in order of their names, and others left out.

    Attributes:
        sources: source recordings, by video.
        trained_on: taken videos that were trained on.
        beside: annotation files that came with the videos, if there are intervals to score.
    """

    taken: tuple[PredictedVideo, ...]
    sources: Mapping[str, str]
    trained_on: tuple[str, ...]
    set_aside: tuple[SetAside, ...]
    beside: tuple[AnnotationFile, ...]


@dataclass(frozen=True)
class Met:
    """Videos and sources that trained the networks (`in_train`) or chose their epochs.

    Unless `is_known`, a training is not known, and all that is in train or val today counts.
    """

    in_train: frozenset[str]
    in_val: frozenset[str]
    is_known: bool

    @staticmethod
    def of_any(each: Collection["Met"]) -> "Met":
        """Unite what several networks met."""
        in_train, in_val = frozenset[str]().union(*(met.in_train for met in each)), frozenset[str]().union(*(met.in_val for met in each))
        return Met(in_train, in_val, all(met.is_known for met in each))


def run(arguments: PredictPlanArguments, store: Store) -> PredictPlanResult:
    """Plan the prediction for all later steps.

    Raises:
        BadInput: there is no such model, or no video that can be predicted.
        NothingToDo: these videos were predicted by these networks before; the message leads to the page.
    """
    plan = decide(arguments, store)
    if earlier := finished_report(plan, store):
        raise NothingToDo(f"these videos were predicted by these networks before: {earlier.report_url}")
    return finish(store, PLAN.address(arguments), plan)


def finished_report(plan: PredictPlanResult, store: Store) -> PredictReportResult | None:
    """Find the report of an earlier run with these inputs, if no batch failed."""
    report = Prediction(plan.prediction_uri).report
    result = store.read(report) if store.exists(report.uri) else None
    return None if result is None or result.num_failed_batches else result


def decide(arguments: PredictPlanArguments, store: Store) -> PredictPlanResult:
    """Make the plan and write it under its own address; raise the errors of `run`."""
    store.ensure_bucket(arguments.store)
    registry = Registry(load(MlflowSettings))
    precision = None if arguments.stride_seconds is None else arguments.interval_precision
    model = registered(
        arguments.model, arguments.store, arguments.crops, store, registry, precision, known_pairs=arguments.pairs == "known"
    )
    against, missing = _against(arguments, model, store, registry, precision)
    dataset_uris = _dataset_uris(arguments.store, [model, *([against] if against else [])], store)
    model_dataset_uri = model.plans[0].dataset_uri if model.plans and model.plans[0].dataset_uri in dataset_uris else None
    manifests = [store.read(Dataset(uri).manifest) for uri in dataset_uris]
    # The model's own dataset comes first, if it is known.
    trained = manifests[0].segment if manifests else SegmentOptions()
    segment = trained.on_grid
    if model_dataset_uri is None:
        missing += _unknown(arguments.store, model.predictor.label, dataset_uris, store)
    if arguments.stride_seconds is not None:
        window_grid(segment, arguments.stride_seconds)
    latest = _labels_today(arguments.store, segment if trained.cut == "intervals" else trained, store)
    met_by = _met_by(model, against, arguments.store, dict(zip(dataset_uris, manifests, strict=True)), store)
    met = Met.of_any(met_by.values())
    if not met.is_known and model_dataset_uri is not None and not store.exists(Layout(arguments.store).split_file):
        missing += (
            f"whether these videos were trained on could not be checked in full: a training of these networks, or one before it, is not in "
            f"{arguments.store}, and there is no split file",
        )
    videos = _videos(arguments, met, _labelled_sources(manifests, latest), store)
    sources = videos.sources
    trained_by = {role: tuple(video.video for video in _among(videos.taken, own.in_train, sources)) for role, own in met_by.items()}
    measured_on = tuple(video.video for video in _among(videos.taken, met.in_val, sources))
    labels = _labels_of(videos.taken, manifests, latest)
    if arguments.stride_seconds is not None:
        named = PredictedVideos({video.video: video.name for video in videos.taken}, videos.beside)
        parts = labelled_intervals(store, arguments.store, named)
        labels = labels.model_copy(update={"intervals": parts.intervals, "covered": _covered_by(parts, latest)})
    own_sources = {video.video: sources[video.video] for video in videos.taken if sources.get(video.video, video.video) != video.video}
    evaluate, predict = arguments.picked(EvaluateOptions), arguments.picked(PredictOptions)
    for reason in (*missing, *(f"{bad.name}: {bad.reason}" for bad in videos.set_aside)):
        log.warning("left out: %s", reason)
    for network in (chosen.predictor for chosen in (model, against) if chosen and chosen.predictor.interval_words):
        (log.info if network.reports_intervals else log.warning)("intervals of %s: %s", network.label, network.interval_words)
    # Without a stride, the precision of intervals has no effect.
    of_page = {"num_to_label", *(() if predict.stride_seconds is None else ("stride_seconds", "interval_precision"))}
    inputs = {
        "videos": [video.model_dump() for video in videos.taken],
        "sources": own_sources,
        "trained_on": videos.trained_on,
        "measured_on": measured_on,
        "set_aside": [bad.model_dump() for bad in videos.set_aside],
        "networks": [chosen.predictor.model_dump(exclude={"provisional"}) for chosen in (model, against) if chosen],
        "missing": missing,
        "segment": options_key(segment),
        "evaluate": options_key(evaluate),
        "predict": predict.keyed(include=of_page),
        "labels": labels.model_dump(mode="json"),
        "code": load(MachineSettings).code_version,
    }
    key = content_key(inputs)
    prediction = Layout(arguments.store).prediction(key)
    store.write(prediction.labels, labels)
    plan = PredictPlanResult(
        key=key,
        prediction_uri=prediction.folder_uri,
        store=arguments.store,
        segment=segment,
        evaluate=evaluate,
        predict=predict,
        model=model.predictor,
        against=against.predictor if against else None,
        missing=missing,
        run_uri=model.run_uri,
        model_dataset_uri=model_dataset_uri,
        dataset_uris=dataset_uris,
        set_aside=videos.set_aside,
        num_videos=len(videos.taken),
        sources=own_sources,
        trained_on=videos.trained_on,
        trained_by={role: own for role, own in trained_by.items() if own},
        measured_on=measured_on,
        has_published_backbone=bool(model.plans) and model.plans[0].has_published_backbone,
        batches=_write_batches(prediction, videos.taken, store),
    )
    log.info("%s by %s%s", count(plan.num_videos, "video"), model.predictor.label, f" and {against.predictor.label}" if against else "")
    return finish(store, prediction.plan, plan)


def _against(
    arguments: PredictPlanArguments, model: NetworkWithPlans, store: Store, registry: Registry, precision: float | None
) -> tuple[NetworkWithPlans | None, tuple[str, ...]]:
    """Find the second network, or explain why the first one continues alone.

    The version before the model's stands in for an untrained baseline.
    """
    against = arguments.against
    missing: tuple[str, ...] = ()
    if against == "none":
        return None, ()
    if against == "baseline" and model.plans and model.plans[0].weights.is_chance:
        missing = (f"the baseline of {model.predictor.label}: its heads are untrained, so it would answer by chance",)
        name, version = registry.resolve(arguments.model)
        if (earlier := registry.previous(name, version.run_key)) is None or earlier.version > version.version:
            return None, missing
        against = f"models:/{name}/{earlier.version}"
    try:
        if against == "baseline":
            second = baseline_of(model, arguments.crops, store, precision)
        else:
            second = registered(
                against, arguments.store, arguments.crops, store, registry, precision, known_pairs=arguments.pairs == "known"
            )
    except BadInput as error:
        return None, (*missing, str(error))
    if second.predictor.checkpoint_sha256 != model.predictor.checkpoint_sha256:
        return second, missing
    if missing:
        return None, missing
    raise BadConfiguration(f"against: {against} is {model.predictor.label} itself; name another version, baseline or none")


def _dataset_uris(store_uri: str, networks: Sequence[NetworkWithPlans], store: Store) -> tuple[str, ...]:
    """List the networks' training datasets, the model's first; else the store's latest."""
    uris = [network.plans[0].dataset_uri for network in networks if network.plans]
    latest = Layout(store_uri).latest_dataset
    if not uris and store.exists(latest.uri):
        uris = [store.read(latest).dataset_uri]
    return tuple(uri for uri in dict.fromkeys(uris) if store.exists(Dataset(uri).manifest.uri))


def _unknown(store_uri: str, label: str, dataset_uris: Sequence[str], store: Store) -> tuple[str, ...]:
    """Word the warnings for a model whose training dataset is not in the store."""
    taken = f"as the clips of {dataset_uris[0]}" if dataset_uris else "by the defaults of ingest_videos"
    cut = f"the dataset that {label} was trained on is not there to tell how its clips were cut; these videos are cut {taken}"
    if store.exists(Layout(store_uri).split_file):
        return (cut,)
    return (
        cut,
        f"whether these videos were trained on could not be checked: {store_uri} has neither the dataset that {label} was trained on nor a "
        "split file",
    )


def _met_by(
    model: NetworkWithPlans, against: NetworkWithPlans | None, store_uri: str, manifests: Mapping[str, Manifest], store: Store
) -> dict[PredictorRole, Met]:
    """List what each network's trainings met; a baseline is older than its training."""
    both: dict[PredictorRole, NetworkWithPlans | None] = {"model": model, "against": against}
    networks = {role: network for role, network in both.items() if network}
    own_uris = {role: [plan.dataset_uri for plan in network.plans[:1] if network.run_uri] for role, network in networks.items()}
    # The store's latest dataset stands in for a training that is not known.
    of_no_training = manifests.keys() - {uri for uris in own_uris.values() for uri in uris}
    return {
        role: _met(
            network, store_uri, [manifests[uri] for uri in (own_uris[role] if network.plans else of_no_training) if uri in manifests], store
        )
        for role, network in networks.items()
    }


def _met(network: NetworkWithPlans, store_uri: str, manifests: Sequence[Manifest], store: Store) -> Met:
    """List videos and sources of a network's training, and of trainings before it.

    Where a training is not known, the split file tells. Elsewhere it would also name videos that came into train after the training. A video
    that taught a student without a label counts if it has come into train or val since.
    """
    splits: dict[SplitName, set[str]] = {"train": set(), "val": set(), "test": set()}
    clips = [clip for manifest in manifests for clip in manifest.clips]
    taught: set[str] = set()
    is_known = bool(network.plans)
    try:
        for run in network.trainings:
            clips += trained_on(run, store)
            taught |= {clip.video for clip in taught_on(run, store)}
    except BadInput as error:
        log.warning("a training that %s was made by, or one before it, is not known: %s", network.predictor.label, error)
        is_known = False
    for clip in clips:
        splits[clip.split] |= {clip.video, clip.source}
    uri = Layout(store_uri).split_file
    if (taught or not is_known) and store.exists(uri):
        for name, split in read_split_csv(store.read_bytes(uri)).items():
            if not is_known or name in taught:
                splits[split].add(name)
    return Met(frozenset(splits["train"]), frozenset(splits["val"]), is_known)


def _among(videos: Iterable[PredictedVideo], names: frozenset[str], sources: Mapping[str, str]) -> list[PredictedVideo]:
    """Select the videos that these names contain, themselves or by their sources.

    The source of a named video may have had another name at the training.
    """
    names |= {sources[name] for name in names if name in sources}
    return [video for video in videos if not names.isdisjoint({video.video, sources.get(video.video, video.video)})]


def _videos(arguments: PredictPlanArguments, met: Met, sources: Mapping[str, str], store: Store) -> Videos:
    """Select the videos to predict; leave out unusable ones and those trained on."""
    if arguments.videos:
        candidates, bad, beside = _asked_for(arguments, store)
        # Videos that an earlier prediction took in have lost the names that tell their recording.
        sources = {**sources, **_sources_of_new(candidates, sources, arguments.store, store)}
    else:
        records = video_records(store, arguments.store)
        candidates, bad, beside = _in_order(PredictedVideo(video=record.video, name=record.names[0]) for record in records), [], []
    trained = _among(candidates, met.in_train, sources)
    refused = [] if arguments.allow_trained else trained
    taken = [video for video in candidates if video not in refused]
    if arguments.videos:
        reason = "it was trained on" if met.is_known else "it is in train, and a network's training videos are not known"
        bad += [SetAside(name=video.name, reason=f"{reason}; allow_trained predicts it anyway") for video in refused]
        if not taken:
            reasons = "; ".join(f"{aside.name}: {aside.reason}" for aside in bad) or f"{', '.join(arguments.videos)}: no video is there"
            raise BadInput(f"nothing to predict: {reasons}")
    elif not taken:
        raise NothingToDo(
            f"{arguments.store} has no video that was not trained on; name videos, or allow_trained"
            if candidates
            else "no video was ingested yet"
        )
    return Videos(tuple(taken), sources, tuple(video.video for video in trained if video not in refused), tuple(bad), tuple(beside))


def _asked_for(arguments: PredictPlanArguments, store: Store) -> tuple[list[PredictedVideo], list[SetAside], list[AnnotationFile]]:
    bad: list[SetAside] = []
    offered: list[IncomingFile] = []
    for source in arguments.videos:
        try:
            offered += incoming_files([source], arguments.store, store)
        except BadInput as error:
            bad.append(SetAside(name=source, reason=str(error).removeprefix(f"{source} ")))
    intake = Intake(store, arguments.store, IngestOptions(), load(MachineSettings).allow_private_addresses, names_label=False)
    with ThreadPoolExecutor(NUM_TAKEN_AT_ONCE) as pool:
        seen = list(pool.map(intake.take_video, (incoming for incoming in offered if not incoming.is_annotation)))
    beside: list[AnnotationFile] = []
    videos = videos_beside([incoming.name for incoming in offered if incoming.is_annotation], seen)
    # Without a stride there is nothing to score against them, and a prediction labels nothing.
    for incoming in offered if arguments.stride_seconds is not None else ():
        if incoming.is_annotation:
            contents: list[bytes] = []
            seen.append(intake.take_annotation(incoming, contents.append))
            beside += [AnnotationFile(incoming.name, content, beside=videos[incoming.name]) for content in contents]
    bad += [SetAside(name=file.name, reason=file.reason) for file in seen if file.reason]
    names = {file.video: file.name for file in reversed(seen) if file.video}
    return _in_order(PredictedVideo(video=video, name=name) for video, name in names.items()), bad, beside


def _in_order(videos: Iterable[PredictedVideo]) -> list[PredictedVideo]:
    return sorted(videos, key=lambda video: (video.name, video.video))


def _write_batches(prediction: Prediction, videos: Sequence[PredictedVideo], store: Store) -> tuple[BatchRef, ...]:
    """Write batches of ingest's size: each task must load both networks."""
    size = batch_size(len(videos))
    batches = []
    for number, start in enumerate(range(0, len(videos), size)):
        batch = videos[start : start + size]
        store.write(prediction.batch(number), PredictionBatch(videos=tuple(batch)))
        name = batch[0].name if len(batch) == 1 else f"{batch[0].name} and {len(batch) - 1} more"
        batches.append(BatchRef(uri=prediction.batch(number).uri, name=name, out=prediction.predicted(number).folder_uri))
    return tuple(batches)


def _labelled_sources(manifests: Iterable[Manifest], latest: Iterable[LabelledClip]) -> dict[str, str]:
    """Map videos to their source recordings, by the latest labels, else by the datasets."""
    sources = {clip.video: clip.source for manifest in manifests for clip in manifest.clips}
    return sources | {labelled.clip.video: labelled.source for labelled in latest}


def _sources_of_new(videos: Sequence[PredictedVideo], sources: Mapping[str, str], store_uri: str, store: Store) -> dict[str, str]:
    """Map videos that were never ingested to the source of their recording.

    The given names tell the recording. Its source is that of an ingested video, else its first video. People may have corrected `sources`.
    """

    def read(video: PredictedVideo) -> VideoRecord:
        return store.read(Layout(store_uri).video(video.video).probe)

    with ThreadPoolExecutor(NUM_READ_AT_ONCE) as pool:
        records = list(pool.map(read, videos))
    new = {
        record.video
        for record in records
        if sources.get(record.video, record.video) == record.video and all(lacks_label(name, record.video) for name in record.names)
    }
    given = [record.model_copy(update={"names": (video.name,)}) for video, record in zip(videos, records, strict=True)]
    return {
        video: next((sources.get(other, other) for other in recording.videos if other not in new), recording.videos[0])
        for recording in detect_recordings(given).recordings
        for video in recording.videos
        if video in new
    }


def _labels_today(store_uri: str, segment: SegmentOptions, store: Store) -> tuple[LabelledClip, ...]:
    """Label all clips anew, by the options of the last build; nothing is written."""
    clips = Layout(store_uri).labels(recipe_of(segment)).clips
    built = store.read(clips) if store.exists(clips.uri) else None
    try:
        return label_now(store, store_uri, segment, built.options if built else LabelOptions()).labelling.clips
    except BadInput as error:
        (log.warning if built else log.info)("labels since the last build are left out: %s", error)
    return built.clips if built else ()


def _labels_of(videos: Iterable[PredictedVideo], manifests: Iterable[Manifest], latest: Iterable[LabelledClip]) -> KnownLabels:
    """Collect the latest labels of videos' clips on the grid, else those of the datasets."""
    wanted = {video.video for video in videos}
    labelled: list[tuple[StoredClip, int | None, int | None]] = [
        *((clip, clip.verb_class, clip.noun_class) for manifest in manifests for clip in manifest.clips),
        *((own.clip, own.verb_class, own.noun_class) for own in latest),
    ]
    labels = {
        clip.uid: KnownLabel(uid=clip.uid, verb_class=verb, noun_class=noun)
        for clip, verb, noun in labelled
        if clip.video in wanted and clip.around is None and verb is not None and noun is not None
    }
    return KnownLabels(labels=tuple(labels[uid] for uid in sorted(labels)))


def _covered_by(parts: LabelledParts, latest: Iterable[LabelledClip]) -> dict[str, tuple[Interval, ...]]:
    """List the time of each video in which labels say when something happens.

    Clips labelled as nothing add to that of files, unless a labelled interval overlaps them, which says nothing about the rest of a clip.
    Clips of an action are left out unless an interval of it overlaps them, because their labels do not say when it begins and ends.
    """
    in_files = {video: overlap_finder(own) for video, own in parts.covered.items()}
    actions = {video: overlap_finder(own) for video, own in groupby(sorted(parts.intervals, key=attrgetter("video")), attrgetter("video"))}
    idle: dict[str, list[Interval]] = {}
    acting: dict[str, list[Interval]] = {}
    for labelled in latest:
        clip, classes = labelled.clip, (labelled.verb_class, labelled.noun_class)
        if labelled.action is None or clip.around is not None:
            continue
        span = Interval(start_seconds=clip.start_seconds, stop_seconds=clip.stop_seconds)
        if labelled.verb == NOTHING:
            if clip.video not in in_files or not any(in_files[clip.video](clip)):
                idle.setdefault(clip.video, []).append(span)
        elif clip.video not in actions or all((own.verb_class, own.noun_class) != classes for own in actions[clip.video](clip)):
            acting.setdefault(clip.video, []).append(span)
    return {
        video: tuple(without([*parts.covered.get(video, ()), *idle.get(video, ())], acting.get(video, ())))
        for video in sorted({*parts.covered, *idle})
    }
