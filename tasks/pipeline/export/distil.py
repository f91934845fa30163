"""Train a student at a shell: `python -m tasks distil models:/NAME@champion --student=BACKBONE`."""

from collections.abc import Iterator

from tasks.data.split.manifest import num_clips, unlabelled_clips
from tasks.data.split.split import read_split_csv
from tasks.errors import BadInput, MissingObject
from tasks.keys import content_key, options_key, recipe_of
from tasks.learn.engines.choice import spread
from tasks.learn.gpus import keep_to_one_gpu, trains_on_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.options import EvaluateOptions, Family, Head, Modality, TrainOptions
from tasks.pipeline._plans import plan_training
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline._trained import Trained, find_trained, plan_of, store_of
from tasks.pipeline._training import train_planned
from tasks.pipeline._weights import find_weights
from tasks.pipeline.export.contract import DistilArguments
from tasks.pipeline.retrain import evaluate
from tasks.pipeline.retrain.contract import PlannedArguments
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.record import SPLITS
from tasks.store.records.training import DistilResult, Teacher, UnlabelledClips
from tasks.store.records.video import ClipRecord
from tasks.store.run_layout import Scores, run_name
from tasks.tracking import Tracker
from tasks.wording import count, percent

MOST_UNLABELLED = 4
"""Most clips without a label for each labelled one, so that an epoch stays affordable; evenly spaced ones are taken."""

HEADS = {
    "trainable": "heads", "epochs": 30, "feature_variants": 4, "batch_size": 4, "learning_rate": 3e-3, "validate_every": 1, "frame_step": 3,
}  # fmt: skip
"""Without a GPU: new heads on a frozen published backbone."""
WHOLE = {
    "trainable": "all", "epochs": 60, "batch_size": 8, "optimizer": "adamw", "learning_rate": 1e-4, "weight_decay": 0.01,
    "schedule": "cosine", "warmup_epochs": 3,
}  # fmt: skip
"""With a GPU: the whole network."""


def run(arguments: DistilArguments, store: Store) -> DistilResult:
    """Train the student and score it on val, and on test if there is one.

    Raises:
        BadConfiguration: there is no such backbone, or the teacher's name is none.
        BadInput: there is no such teacher, or its plan or dataset is gone.
        Unavailable: as the steps `weights`, `train` and `evaluate`.
    """
    where = arguments.store or store_of(arguments.model)
    teacher = find_trained("model", arguments.model, where, store)
    student = distilled(teacher, arguments.student, where, store)
    run = Layout(where).run(student.run_key)
    plan = plan_of(run, store)
    return DistilResult(
        student=student.name,
        teacher=arguments.model,
        checkpoint_uri=student.checkpoint_uri,
        checkpoint_sha256=student.checkpoint_sha256,
        num_labelled=plan.num_train_clips or 0,
        num_unlabelled=len(store.read(run.train.unlabelled).clips),
        result_uris=tuple(Scores(evaluation.out).uri for evaluation in plan.evaluations),
    )


def in_words(result: DistilResult, store: Store) -> Iterator[str]:
    """Describe the clips that a student learnt from, and its scores."""
    clips = f"{count(result.num_labelled, 'labelled clip')} and {count(result.num_unlabelled, 'clip')} without a label"
    yield f"{result.student} learnt from {result.teacher} on {clips}"
    for uri in result.result_uris:
        scores = store.read(uri, EvaluateResult)
        yield f"{scores.split}: {', '.join(f'{percent(getattr(scores, target).top1)} of {target}s' for target in scores.targets)}"


def distilled(teacher: Trained, student: str, store_uri: str, store: Store) -> Trained:
    """Train and score a student of this backbone, once for equal inputs.

    It learns on the teacher's dataset and on clips without a label. It sees RGB frames, and has the family and head of its teacher if that
    is one network on RGB frames; else it is a TSN with a linear head.

    Raises:
        BadInput: the plan or the dataset of the teacher is gone.
        RetakeError: as the steps `weights`, `train` and `evaluate`.
    """
    taught_by = plan_of(Layout(store_uri).run(teacher.run_key), store)
    try:
        manifest = store.read(Dataset(taught_by.dataset_uri).manifest)
    except MissingObject:
        raise BadInput(f"{teacher.name}: the dataset {taught_by.dataset_uri} of its training is gone; train it again") from None
    unlabelled = _unlabelled(manifest, store_uri, store)
    options = student_options(taught_by.train, student, has_gpu=trains_on_gpu())
    weights = find_weights(options, store_uri, store)
    taught = {"teacher": teacher.checkpoint_sha256, "unlabelled": [clip.uid for clip in unlabelled]}
    training = plan_training(store_uri, taught_by.dataset_digest, options, weights, taught_by.model_name, taught=taught)
    run, splits = training.run, [split for split in SPLITS[1:] if any(clip.split == split for clip in manifest.clips)]
    protocol = taught_by.evaluate.picked(EvaluateOptions)  # without an engine that was removed since
    place = run.comparison(content_key(options_key(protocol)))
    plan = training.without_decision(Dataset(taught_by.dataset_uri), weights, protocol, place, taught_by.model_name, splits).model_copy(
        update={
            "num_train_clips": num_clips(manifest)["train"],
            "teacher": Teacher(
                name=teacher.label,
                run_key=teacher.run_key,
                checkpoint_uri=teacher.checkpoint_uri,
                checkpoint_sha256=teacher.checkpoint_sha256,
                num_unlabelled=len(unlabelled),
            ),
        }
    )
    log.info("%s: %s from %s, with %d clips without a label", run_name(plan.run_key), weights.network, teacher.label, len(unlabelled))
    trained = earlier_result(store, run.train)
    if trained is None:
        store.write(run.train.unlabelled, UnlabelledClips(clips=tuple(unlabelled)))
    # Options of the evaluation may have changed since the training, and back; the latest plan has those of its scores.
    kept = earlier_result(store, place.plan)
    if kept is None or plan_of(run, store).decision_uri != kept.decision_uri:
        finish(store, place.plan, kept or plan)
    if trained is None:
        keep_to_one_gpu()
        keep_freed_memory()
        trained = train_planned(plan, run.train, store, devices=1)
    if earlier_result(store, place.evaluate) is None:
        evaluate.run(PlannedArguments(store=store_uri, plan=place.plan.folder_uri), store)
        Tracker(load(MlflowSettings)).finish(trained.mlflow_run_id)
    name = run_name(plan.run_key)
    label = f"student {plan.train.backbone} ({name}) of {teacher.label}"
    return Trained(name, label, plan.run_key, trained.checkpoint_uri, trained.checkpoint_sha256)


def student_options(teacher: TrainOptions, backbone: str, *, has_gpu: bool) -> TrainOptions:
    """Choose a student's options: the segments and head of its teacher, and this machine's recipe."""
    kept: dict[str, object] = {"backbone": backbone, "seed": teacher.seed}
    if not teacher.fuse and teacher.modality is Modality.RGB and teacher.family is not Family.VIDEO:
        kept |= {name: getattr(teacher, name) for name in ("family", "head", "num_segments")}
    if kept.get("head") is Head.PROBE:
        kept["head"] = Head.LINEAR
    return TrainOptions.model_validate({**(WHOLE if has_gpu else HEADS), **kept})


def _unlabelled(manifest: Manifest, store_uri: str, store: Store) -> list[ClipRecord]:
    """Select clips without a label, cut like those of the dataset, by `MOST_UNLABELLED`."""
    at = Layout(store_uri)
    labels = at.labels(recipe_of(manifest.segment)).clips
    if not store.exists(labels.uri):
        return []
    kept = read_split_csv(store.read_bytes(at.split_file)) if store.exists(at.split_file) else {}
    clips = unlabelled_clips(store.read(labels), kept, manifest.clips)
    return spread(clips, MOST_UNLABELLED * num_clips(manifest)["train"])
