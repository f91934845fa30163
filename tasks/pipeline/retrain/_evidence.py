"""Read the results of a plan's steps, and collect a report's numbers from them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tasks.data.labels.video_names import named_clips
from tasks.data.split.manifest import label_counts, split_sizes
from tasks.errors import BadInput, MissingObject
from tasks.judge.gate.gate import contenders
from tasks.judge.statistics.answers import answers_of, from_parquet
from tasks.judge.statistics.calibration import calibrations
from tasks.judge.statistics.data_checks import Fingerprint, check_data
from tasks.judge.statistics.data_checks import from_parquet as fingerprints_from_parquet
from tasks.judge.statistics.long_training import from_parquet as kept_from_parquet
from tasks.judge.statistics.long_training import long_training
from tasks.judge.statistics.metrics import class_changes, closed_set, with_actions
from tasks.judge.statistics.mistakes import SOURCE_VIDEO, confusions, group_scores, worst_mistakes
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import BOOTSTRAP_SEED
from tasks.pipeline._plans import no_curve_reason
from tasks.pipeline._results import log
from tasks.settings import MachineSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.curves import LongTraining
from tasks.store.records.dataset import Manifest, Vocabulary
from tasks.store.records.decisions import CompareResult
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.export import ExportResult
from tasks.store.records.metrics import GroupScore, Metrics, Provenance
from tasks.store.records.record import ModelRole, SplitName, now_utc
from tasks.store.records.training import PlanResult, TrainResult
from tasks.store.run_layout import Decision, Run, Scores

VIDEO_HASH = re.compile(r"[0-9a-f]{64}")


def evaluation_results(store: Store, plan: PlanResult) -> list[EvaluateResult]:
    """Read the scores of every evaluation of the plan, in its order."""
    return [store.read(Scores(evaluation.out)) for evaluation in plan.evaluations]


def predictions(store: Store, results: list[EvaluateResult], split: SplitName) -> dict[ModelRole, ScoredClips]:
    """Read each model's answers on the clips of `split`."""
    of_split = [result for result in results if result.split == split]
    return {result.model: from_parquet(store.read_bytes(result.predictions_uri), result.predictions_uri) for result in of_split}


def predictions_of_actions(
    store: Store, results: list[EvaluateResult], split: SplitName, vocabulary: Vocabulary
) -> dict[ModelRole, ScoredClips]:
    """Read each model's answers on clips of `split` with an action, which alone are compared."""
    return {model: with_actions(clips, vocabulary) for model, clips in predictions(store, results, split).items()}


def version_description(store: Store, plan: PlanResult) -> str:
    """Read the model card of the plan's report, without front matter and title.

    MLflow's list of versions shows its first words.
    """
    reported = store.read(Decision(plan.decision_uri).report)
    card = store.read_bytes(reported.card_uri).decode()
    return card.removeprefix("---\n").partition("\n---\n")[2].lstrip().partition("\n\n")[2]


def metrics_of(
    store: Store,
    plan: PlanResult,
    manifest: Manifest,
    compared: CompareResult,
    results: list[EvaluateResult],
    scored: Mapping[ModelRole, ScoredClips],
    url: str,
    *,
    airflow_run: str | None,
    no_curve: str,
) -> Metrics:
    """Collect all numbers of a report from the results of its plan's steps.

    Args:
        results: all scores of the plan.
        scored: by network, the answers on the deciding clips with an action.
        url: the page of the MLflow run.
        airflow_run: the page of the Airflow run, if any.
        no_curve: why there is no learning curve.

    Raises:
        MissingObject: a step has not finished.
    """
    trained = store.read(Run(plan.run_uri).train)
    registered, decision = Run(plan.run_uri).register, Decision(plan.decision_uri)
    decided = store.read(decision.decide) if store.exists(decision.decide.uri) else None
    curve = store.read(decision.learning_curve) if store.exists(decision.learning_curve.uri) else None
    # Planned anew before a decision, the same training can have another opponent.
    ours, theirs = contenders([result for result in results if result.model in ("fine-tuned", compared.opponent)], compared.split)
    built = Layout(Run(plan.run_uri).store_uri).latest_dataset
    latest = store.read(built) if store.exists(built.uri) else None
    metrics = Metrics(
        created=now_utc(),
        model_name=plan.model_name,
        network=plan.weights.network,
        deciding_split=compared.split,
        baseline=plan.weights.description,
        baseline_is_chance=plan.weights.is_chance,
        version=store.read(registered).version if store.exists(registered.uri) else None,
        champion_version=compared.champion_version,
        champion_is_provisional=plan.champion is not None and plan.champion.provisional,
        previous_version=plan.previous.version if plan.previous else None,
        no_previous=plan.no_previous,
        verdict=compared.verdict,
        why=compared.why,
        passed=compared.passed,
        provisional=compared.provisional,
        is_champion=None if decided is None else decided.champion == decided.version,
        has_champion=decided is not None and decided.champion is not None,
        gate=compared.gate,
        rules=compared.rules,
        attempt=compared.attempt,
        splits=split_sizes(manifest.clips),
        results=tuple(results),
        differences=compared.differences,
        spread=compared.spread,
        nameable=compared.nameable,
        closed_set=closed_set(
            scored["fine-tuned"], [clip for clip in manifest.unseen or () if clip.split == compared.split], manifest.vocabulary
        ),
        num_accepted=_num_among(manifest.accepted, manifest, compared.split),
        num_chosen=_num_among(manifest.chosen, manifest, compared.split),
        num_drawn=None if manifest.drawn is None else len(manifest.drawn),
        class_changes=class_changes(ours, theirs),
        confusions=confusions(scored, manifest.vocabulary),
        label_counts=label_counts(manifest.clips, manifest.vocabulary.targets),
        num_unlabelled=latest.num_unlabelled if latest and latest.digest == plan.dataset_digest else 0,
        # Of all clips, as the probabilities that predictions serve.
        calibration=calibrations(
            predictions(store, results, compared.split), predictions(store, results, "val"), compared.split, manifest.vocabulary.targets
        ),
        mistakes=worst_mistakes(scored["fine-tuned"], scored[theirs.model], manifest.clips, manifest.vocabulary),
        groups=_groups(scored["fine-tuned"], manifest),
        checks=check_data(
            manifest.clips,
            _fingerprints(store, results),
            manifest.vocabulary.targets,
            manifest.agreement,
            manifest.without_clip,
            manifest.shared_recordings,
        ).model_copy(update=_speech(store, plan)),
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        long_training=_long_training(store, plan, manifest, trained),
        learning_curve=curve,
        no_learning_curve=None if curve else no_curve,
        packages=packages_of(store, plan),
        fusion=trained.fusion,
        web_pages=tuple(sorted(manifest.web_pages.values(), key=lambda page: page.address)),
        provenance=_provenance(store, plan, manifest, trained, url, airflow_run),
    )
    return metrics.model_copy(update={"clips": named_clips(manifest.clips, metrics.named_uids)})


def _groups(scored: ScoredClips, manifest: Manifest) -> tuple[GroupScore, ...]:
    """Score the new network by source video, camera and day, and by annotation files' columns."""
    clips = {clip.uid: clip for clip in manifest.clips}
    own = [clips[uid] for uid in scored.uids]
    # The first file of a recording, whose hash is its source, may have no clip here; then its next one names it.
    of_files = [clip for clip in manifest.clips if clip.names and VIDEO_HASH.fullmatch(clip.source)]
    files = {
        clip.source: clip.names[0] for clip in sorted(of_files, key=lambda clip: (clip.source != clip.video, clip.names[0]), reverse=True)
    }
    same = Counter(files.values())
    names = {source: f"{name} ({source[:6]})" if same[name] > 1 else name for source, name in files.items()}
    columns: dict[str, list[str | None]] = {SOURCE_VIDEO: [names.get(clip.source, clip.source) for clip in own]}
    for column in dict.fromkeys(column for clip in own for column, _ in clip.groups if column != SOURCE_VIDEO):
        columns[column] = [dict(clip.groups).get(column) for clip in own]
    answers = answers_of(scored, manifest.vocabulary)[manifest.vocabulary.targets[-1]]
    return group_scores(answers.right, scored.sources, columns)


def _num_among(uids: Sequence[str] | None, manifest: Manifest, split: SplitName) -> int | None:
    """Count the clips of a split that are among these; None if these are unknown."""
    return None if uids is None else len({clip.uid for clip in manifest.clips if clip.split == split}.intersection(uids))


def _long_training(store: Store, plan: PlanResult, manifest: Manifest, trained: TrainResult) -> LongTraining | None:
    if not trained.kept_epochs:
        return None
    uri = Run(plan.run_uri).train.answers
    kept = kept_from_parquet(store.read_bytes(uri), uri)
    return long_training(kept, trained.epochs, manifest.vocabulary.targets[-1], num_resamples=plan.evaluate.bootstrap_resamples)


def _speech(store: Store, plan: PlanResult) -> dict[str, object]:
    """Return the check of speech, if a network hears."""
    described = Run(plan.run_uri).sound
    if not store.exists(described.uri):
        return {}
    with_speech = store.read(described).with_speech
    return {"with_speech": with_speech, "speech_unchecked": with_speech is None}


def why_no_curve(store: Store, plan: PlanResult, *, is_wanted: bool) -> str:
    """Say why there is no learning curve, or not yet."""
    kept = Decision(plan.decision_uri).no_learning_curve
    if reason := store.read(kept).reason.rstrip(".") if store.exists(kept.uri) else no_curve_reason(plan):
        return reason
    if not is_wanted:
        return f"it is switched off; to have it here, start the DAG learning_curve with Plan {Decision(plan.decision_uri).plan.folder_uri}"
    run_url = load(MachineSettings).airflow_url
    where = f"In Airflow, {run_url}/tasks/learning_curve leads to its run, which" if run_url else "Its run in Airflow"
    return (
        "the DAG learning_curve draws it after this page was written, and then writes the page anew. "
        f"{where} says how far it is, or why it failed; after a failure, clear its red task"
    )


def packages_of(store: Store, plan: PlanResult) -> tuple[ExportResult, ...]:
    """Read packages of the network and its students, by their names; warn of unreadable ones."""
    packages = []
    for listed in store.list(Run(plan.run_uri).packages):
        if listed.uri.endswith("/result.json"):
            try:
                packages.append(store.read(listed.uri, ExportResult))
            except BadInput as error:
                log.warning("%s", error)
    return tuple(sorted(packages, key=lambda package: package.networks[0].name))


def _provenance(store: Store, plan: PlanResult, manifest: Manifest, trained: TrainResult, url: str, airflow_run: str | None) -> Provenance:
    machine = load(MachineSettings)
    return Provenance(
        run_key=plan.run_key,
        dataset_uri=plan.dataset_uri,
        dataset_digest=plan.dataset_digest,
        dataset_created=_written(store, Dataset(plan.dataset_uri).manifest.uri),
        trained=_written(store, Run(plan.run_uri).train.uri),
        code_version=machine.code_version,
        chosen=plan.weights.chosen,
        weights=plan.weights.description,
        weights_sha256=plan.weights.sha256,
        checkpoint_sha256=trained.checkpoint_sha256,
        split_seed=manifest.split.split_seed,
        bootstrap_seed=BOOTSTRAP_SEED,
        train=plan.train,
        evaluate=plan.evaluate,
        trained_on=trained.hardware,
        training_seconds=trained.seconds,
        airflow_run=airflow_run or "started by hand",
        mlflow_run_url=url,
    )


def _written(store: Store, uri: str) -> str:
    stored = store.stat(uri)
    if stored is None:
        raise MissingObject(f"{uri} is not in the object store; the step that writes it has not finished")
    return stored.modified


def _fingerprints(store: Store, results: list[EvaluateResult]) -> dict[str, Fingerprint]:
    """Read the fingerprints of all clips; the new network was scored on every split."""
    fingerprints: dict[str, Fingerprint] = {}
    for uri in filter(None, (result.fingerprints_uri for result in results)):
        fingerprints |= fingerprints_from_parquet(store.read_bytes(uri), uri)
    return fingerprints
