"""List all that store and MLflow have of videos, or delete it with a receipt."""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from hashlib import sha256

from tasks.data.clips.forgetting import Remover, Trace, counted, drop_from_cache, files_of_clips, survey, traces_of, videos_of_sources
from tasks.data.clips.label_inputs import probe_objects, video_records
from tasks.data.clips.traces import HASH_DIGITS, Traces
from tasks.data.labels.video_names import VideoIndex
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.loop.summary import keep, read_known
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline.forget.contract import FORGET, ForgetArguments
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.store.layout import Layout, ModelState
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.upkeep import ForgetResult, Forgetting, Receipt, Tombstone
from tasks.tracking import FORGOTTEN_TAG, Registry, Tracker, remove_evidence
from tasks.wording import count, quoted, some

HASH = re.compile(rf"[0-9a-f]{{{HASH_DIGITS},64}}")
MAX_SEARCHES = 4
"""Searches until nothing is left, since another step may write of the video meanwhile."""


def run(arguments: ForgetArguments, store: Store) -> ForgetResult:
    """List all that goes; delete it if a person confirms.

    Raises:
        BadConfiguration: neither a video nor a source is named, or both, or the reason is missing or names the video.
        BadInput: there is no such video, another is being forgotten, a file cannot be written without it, or another question was answered.
        Unavailable: other steps go on writing of the video.
    """
    if (arguments.video is None) == (arguments.source is None):
        raise BadConfiguration("forget: name either a video or, with --source, a source")
    if arguments.confirm and len(arguments.reason) < 3:
        raise BadConfiguration("forget: --reason is missing; say why, without the name of the video")
    where, output = arguments.store, FORGET.address(arguments)
    at = Layout(where).forgotten
    forgetting = _pending(arguments, store)
    if forgetting is None:
        videos = _videos(arguments, store)
        if not videos and (earlier := earlier_result(store, output)):
            return earlier
        if not videos:
            raise BadInput(
                f"{where} has no video {quoted(arguments.video or arguments.source or '')}; name it as the dataset does, or by its hash"
            )
        forgetting = survey(store, where, videos, at=now_utc(), by=arguments.confirm or "", reason=arguments.reason)
    if Traces(forgetting.videos, forgetting.names).in_text(arguments.reason):
        raise BadConfiguration("forget: the reason names the video, and would stay in the receipt; write it without")
    servers = Registry(load(MlflowSettings)), Tracker(load(MlflowSettings))
    remover = Remover(store, where, forgetting)
    traces = remover.find()
    for trace in traces:
        log.info("%s %s", "is written anew:" if trace.is_kept else "goes:", trace.uri)
    result = _listed(store, where, remover.forgetting, traces, *servers)
    if (
        not traces
        and not forgetting.list_sha256
        and (tombstones := [store.read(place) for place in map(at.tombstone, forgetting.videos) if store.exists(place.uri)])
    ):
        return finish(store, output, result.model_copy(update={"receipt_uri": at.receipt(tombstones[0].number).uri}))
    if not arguments.confirm:
        return finish(store, output, result)
    if not forgetting.list_sha256:
        _refuse_other_question(arguments, store, forgetting.videos)
        digest = _hash_of(trace.uri for trace in traces)
        if not store.create(at.intent, forgetting.model_copy(update={"traces": counted(traces), "list_sha256": digest})):
            raise Unavailable(f"{at.intent.uri}: another process began to forget a video; try again")
        remover.forgetting = store.read(at.intent)
    if not remover.forgetting.number:  # while the intent keeps others from it
        remover.forgetting = remover.forgetting.model_copy(update={"number": _next_number(store, where)})
        store.write(at.intent, remover.forgetting)
    _remove(store, where, remover)
    receipt = _leave_receipt(store, where, remover.forgetting, *servers)
    done = finish(store, output, result.model_copy(update={"receipt_uri": receipt, "traces": remover.forgetting.traces}))
    # The last deletion: until then, a later try knows all that this one knew.
    store.delete([at.intent.uri])
    return done


def _listed(
    store: Store, store_uri: str, forgetting: Forgetting, traces: Sequence[Trace], registry: Registry, tracker: Tracker
) -> ForgetResult:
    """Count all that goes, and ask for approval without naming the video."""
    num_videos, videos_sha256, models = len(forgetting.videos), _hash_of(sorted(forgetting.videos)), _models(registry, forgetting)
    lines = [f"{each.kind}: {each.num_deleted} deleted, {each.num_rewritten} written anew" for each in counted(traces)]
    lines.append(f"evidence of {count(_remove_evidence(tracker, store_uri, forgetting, dry_run=True), 'run')} in MLflow")
    lines.append(
        f"{count(len(files_of_clips(load(MachineSettings).cache_dir, forgetting.clip_hashes)), 'file')} in the caches of this machine"
    )
    parts = [
        f"{count(num_videos, 'video')} and all that is known of {'it' if num_videos == 1 else 'them'} are deleted for ever, with "
        f"{count(len(forgetting.datasets), 'dataset')} and the pages of {count(len(forgetting.shown), 'training')}:",
        "\n".join(f"- {line}" for line in lines),
        f"Models that saw it stay, and are marked: {', '.join(models)}." if models else "No registered model saw it.",
    ]
    if num_left := len(forgetting.left_in_place):
        parts.append(f"Left on another server, to be deleted there: {count(num_left, 'source')}.")
    if (keeps := _keeps_versions(store, store_uri)) is not False:
        whether = "keeps" if keeps else "may keep (the keys may not ask)"
        parts.append(
            f"The bucket {whether} earlier versions of objects, which Retake does not delete; let the store's life cycle delete them."
        )
    parts.append(f"SHA-256 of the list of videos: {videos_sha256}")  # so that the answer is about these, also if others are listed since
    return ForgetResult(
        receipt_uri=None,
        question="\n\n".join(parts),
        num_videos=num_videos,
        videos_sha256=videos_sha256,
        traces=counted(traces),
        models=models,
    )


def _refuse_other_question(arguments: ForgetArguments, store: Store, videos: Sequence[str]) -> None:
    """Refuse to delete if another question was answered than the store's list has.

    Others can rewrite Airflow's copy of the question. At a shell nothing was asked.
    """
    if arguments.asked is None:
        return
    listed = earlier_result(store, FORGET.address(arguments.model_copy(update={"confirm": None})))
    if listed is None or (_hash_of([listed.question]), listed.videos_sha256) != (arguments.asked, _hash_of(sorted(videos))):
        raise BadInput(
            f"forget: {arguments.confirm} was not asked about this deletion of {count(len(videos), 'video')}; "
            "start a new run of the DAG `forget`, read its question, and answer there"
        )


def _hash_of(lines: Iterable[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()


def _leave_receipt(store: Store, store_uri: str, forgetting: Forgetting, registry: Registry, tracker: Tracker) -> str:
    """Clean MLflow and this machine's caches, mark the models, and write the receipt.

    Returns the address of the receipt.
    """
    _remove_evidence(tracker, store_uri, forgetting, dry_run=False)
    registry.remove_texts(traces_of(forgetting).in_text)
    _mark(store, store_uri, registry, forgetting)
    num_videos = len(probe_objects(store, store_uri))  # else the next ingest would not tell new videos from these
    keep(store, Layout(store_uri).status.films, lambda known: known and known.model_copy(update={"num_videos": num_videos}))
    drop_from_cache(store, store_uri, load(MachineSettings).cache_dir)
    place = Layout(store_uri).forgotten.receipt(forgetting.number)
    receipt = Receipt(
        number=forgetting.number,
        at=forgetting.at,
        by=forgetting.by,
        reason=forgetting.reason,
        num_videos=len(forgetting.videos),
        traces=forgetting.traces,
        list_sha256=forgetting.list_sha256,
        models=_models(registry, forgetting),
        num_left_in_place=len(forgetting.left_in_place),
        keeps_versions=_keeps_versions(store, store_uri),
    )
    store.create(place, receipt)  # an earlier try may have left it
    return place.uri


def _keeps_versions(store: Store, store_uri: str) -> bool | None:
    """Check whether the bucket keeps earlier versions; None if the keys may not ask."""
    try:
        return store.keeps_versions(store_uri)
    except BadConfiguration:
        return None


def _models(registry: Registry, forgetting: Forgetting) -> tuple[str, ...]:
    return tuple(f"{name} version {version}" for name, version in registry.trained_by(forgetting.taught))


def _remove_evidence(tracker: Tracker, store_uri: str, forgetting: Forgetting, *, dry_run: bool) -> int:
    predictions = [uri for uri in forgetting.folders if uri.startswith(Layout(store_uri).predictions)]
    return remove_evidence(tracker, store_uri, forgetting.datasets, predictions, traces_of(forgetting).in_text, dry_run=dry_run)


def _pending(arguments: ForgetArguments, store: Store) -> Forgetting | None:
    """Find the intent of an earlier try; refuse to forget another video beside it."""
    intent = Layout(arguments.store).forgotten.intent
    if not store.exists(intent.uri):
        return None
    pending = store.read(intent)
    asked = arguments.video or arguments.source or ""
    if asked in pending.sources or any(HASH.fullmatch(asked) and video.startswith(asked) for video in pending.videos):
        return pending
    with suppress(ValueError):
        # By the same rules as in the first try, for which the store knew the name.
        VideoIndex((), {pending.videos[0]: pending.names}).named(asked)
        return pending
    names = some(pending.names or pending.videos)
    raise BadInput(
        f"{intent.uri}: {pending.by} has been forgetting {names} since {pending.at}; forget that again to end it, and this one then"
    )


def _videos(arguments: ForgetArguments, store: Store) -> tuple[str, ...]:
    """Find the videos that are meant, in the store or among those that were forgotten."""
    at, asked = Layout(arguments.store), arguments.video
    by_source = videos_of_sources(store, arguments.store, [listed.uri for listed in store.list(at.all_labels)])
    if asked is None:
        return tuple(sorted(by_source.get(arguments.source or "", ())))
    records = video_records(store, arguments.store)
    known = {record.video for record in records} | {listed.name.removesuffix(".json") for listed in store.list(at.forgotten.tombstones)}
    matching = tuple(sorted(video for video in known if HASH.fullmatch(asked) and video.startswith(asked)))
    if len(matching) > 1:
        raise BadInput(f"{asked} begins the hashes of {len(matching)} videos; write more digits")
    if not matching:
        try:
            matching = (VideoIndex((), {record.video: record.names for record in records}).named(asked),)
        except ValueError as error:
            if asked in by_source:
                raise BadInput(
                    f"{quoted(asked)} is a source of {count(len(by_source[asked]), 'video')}; write --source to forget all"
                ) from None
            if store.exists(FORGET.address(arguments).uri):
                return ()
            raise BadInput(str(error)) from None
    for source, videos in by_source.items():
        if more := sorted(min(record.names) for record in records if record.video in videos - {*matching} and videos & {*matching}):
            log.warning("source %s has other videos, which stay: %s; --source %s forgets all", source, some(more), source)
    return matching


def _next_number(store: Store, store_uri: str) -> int:
    names = (listed.name for listed in store.list(Layout(store_uri).forgotten.folder_uri))
    return max((int(name[:6]) for name in names if re.fullmatch(r"[0-9]{6}\.json", name)), default=0) + 1


def _remove(store: Store, store_uri: str, remover: Remover) -> None:
    """Leave tombstones, and delete until a search finds nothing."""
    at = Layout(store_uri).forgotten
    # First, so that no ingest takes a video in meanwhile.
    for video in remover.forgetting.videos:
        tombstone = Tombstone(number=remover.forgetting.number, clip_hashes=remover.forgetting.clip_hashes)
        store.create(at.tombstone(video), tombstone)
    for _ in range(MAX_SEARCHES):
        traces = remover.find()
        if not traces:
            return
        store.write(at.intent, remover.forgetting)
        remover.remove(traces)
    if traces := remover.find():
        raise Unavailable(f"{traces[0].uri} and {len(traces) - 1} more were written meanwhile; wait for running DAGs to end, and try again")


def _mark(store: Store, store_uri: str, registry: Registry, forgetting: Forgetting) -> None:
    """Mark the versions that saw a video, in the registry and in their summaries."""
    for name, version in registry.trained_by(forgetting.taught):
        registry.set_tags(name, version, {FORGOTTEN_TAG: "true"})
    for folder in store.folders(Layout(store_uri).status.models):
        place = ModelState(folder).model
        state = read_known(store, place)
        if state is None:
            continue
        versions = tuple(
            version.model_copy(update={"saw_forgotten": version.saw_forgotten or version.run_key in forgetting.taught})
            for version in state.versions
        )
        if versions != state.versions:
            store.write(place, state.model_copy(update={"versions": versions}))
