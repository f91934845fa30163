"""Looks at a sample of the clips that the model was trained on, so that later steps can tell what is unlike them.

Measured against nothing else than this model's own backbone, and kept under its training's run: once a model, whatever is predicted by it later.
"""

import tempfile
from pathlib import Path

import numpy as np

from tasks.evaluation.prediction.familiar import to_bytes
from tasks.evaluation.scoring import each_scored
from tasks.model.engines.choice import spread
from tasks.model.gpus import keep_to_one_gpu
from tasks.model.memory import keep_freed_memory
from tasks.options import StoreUri
from tasks.results.prediction import KnownClipsResult, PredictPlanResult
from tasks.steps._ahead import FramesAhead
from tasks.steps._predictors import manifests
from tasks.steps._scorers import make_ready
from tasks.steps._step import StepArguments, finish, finished, log, result_uri
from tasks.storage import Store

MAX_KNOWN_CLIPS = 300
"""Evenly spread over the training clips, so that every video has its share: the centre crop of each, a tenth of the work of scoring it."""


class Arguments(StepArguments):
    """The plan of the prediction."""

    plan: StoreUri


def run(arguments: Arguments, store: Store) -> KnownClipsResult:
    """Write the features of the sample, unless they lie in the store; without a known training there are none."""
    if earlier := finished(store, arguments.out, KnownClipsResult):
        return earlier
    plan = store.read(result_uri(arguments.plan), PredictPlanResult)
    if plan.run_uri is None or not plan.dataset_uris:
        reason = f"the store does not have the dataset that {plan.model.label} was trained on"
        return finish(store, arguments.out, KnownClipsResult(num_clips=0, features_uri=None, reason=reason))
    trained_on = [clip for clip in manifests(plan, store)[0].clips if clip.split == "train"]
    sample = spread(trained_on, MAX_KNOWN_CLIPS)
    uri = f"{plan.run_uri}known/{plan.model.checkpoint_sha256[:16]}-{len(sample)}.npy"
    if not store.exists(uri):
        keep_to_one_gpu()
        keep_freed_memory()
        log.info("looking at %d of the %d clips that %s was trained on", len(sample), len(trained_on), plan.model.label)
        with tempfile.TemporaryDirectory(prefix="retake-known-") as name:
            ready = make_ready(plan.model, sample, trained_on, wanted=plan.evaluate.engine, num_crops=1, store=store, folder=Path(name))
        with FramesAhead(store, sample, ready.specs) as ahead:
            seen = each_scored(sample, ahead.load, lambda inputs: ready.scorer.score_and_see(inputs)[1].numpy(), wait=ahead.wait)
            store.write_bytes(uri, to_bytes(np.stack([one.answer for one in seen])))
    return finish(
        store,
        arguments.out,
        KnownClipsResult(num_clips=len(sample), features_uri=uri, reason=f"{len(sample)} of {len(trained_on)} training clips"),
    )
