"""Train a student at a shell: `python -m tasks distil models:/NAME@champion --student=BACKBONE`."""

from collections.abc import Iterator

from tasks.pipeline._trained import find_trained, plan_of, store_of
from tasks.pipeline.distil._student import distilled
from tasks.pipeline.distil.contract import DistilArguments
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.training import DistilResult
from tasks.store.run_layout import Scores
from tasks.wording import count, percent


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
    """Say what the student learnt from, and how it answers."""
    clips = f"{count(result.num_labelled, 'labelled clip')} and {count(result.num_unlabelled, 'clip')} without a label"
    yield f"{result.student} learnt from {result.teacher} on {clips}"
    for uri in result.result_uris:
        scores = store.read(uri, EvaluateResult)
        yield f"{scores.split}: {', '.join(f'{percent(getattr(scores, target).top1)} of {target}s' for target in scores.targets)}"
