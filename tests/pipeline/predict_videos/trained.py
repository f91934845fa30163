"""A store in memory with a network that was trained, scored and registered, and films to predict."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np

from tasks.judge.statistics.answers import to_parquet
from tasks.judge.statistics.scoring import ScoredClips
from tasks.learn.networks.checkpoints import save
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec, no_names
from tasks.options import EvaluateOptions
from tasks.pipeline.retrain.plan import evaluations
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.prediction import PredictPlanResult
from tasks.store.run_layout import Evaluations
from tests.pipeline.in_process import STORE
from tests.pipeline.shelf import RUN, filmed, plan_result, train_result, weights_result
from tests.scored_clips import summary_of

MODEL = "models:/retake-tsn@challenger"
VOCABULARY = Vocabulary(verbs=(), nouns=())


def scored(num_clips, seed=0):
    """Answers of which some are wrong."""
    rng = np.random.default_rng(seed)
    verbs, nouns = rng.integers(3, size=(2, num_clips))
    logits = [rng.normal(size=(num_clips, size)).astype(np.float32) for size in (125, 352)]
    for own, true in zip(logits, (verbs, nouns), strict=True):
        own[np.arange(num_clips), true] += 3
    return ScoredClips(tuple(map(str, range(num_clips))), tuple(map(str, range(num_clips))), verbs, nouns, *logits)


def score(shelf, plan, num_clips, model="baseline"):
    """Leave the answers of a network on so many val clips; return their address."""
    clips = scored(num_clips)
    out = next(evaluation.out for evaluation in plan.evaluations if (evaluation.model, evaluation.split) == (model, "val"))
    result = summary_of(clips, VOCABULARY, model, crops=plan.evaluate.crops, predictions_uri=f"{out}predictions.parquet")
    shelf.write(f"{out}result.json", result)
    shelf.write_bytes(f"{out}predictions.parquet", to_parquet(clips, VOCABULARY))
    return out


def film(ffmpeg, path, number, seconds=16):
    """Draw a film of moving stripes, each number another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return filmed(ffmpeg, path, seconds, picture=f"testsrc2=s=160x120:r=30,hue=h={37 * number}")


def train(bench, ffmpeg, folder, seconds=16):
    """Take three labelled films in, make a dataset of them, and leave a network as if it had been trained on it."""
    for number, name in enumerate(("put meat/a.mp4", "take bag/b.mp4", "put meat/c.mp4")):
        film(ffmpeg, folder / name, number, seconds)
    bench.ingest(folder)
    dataset = bench.build()
    spec = NetworkSpec(backbone="test_resnet", num_segments=2)
    uris = [f"{RUN}train/best.pt", f"{STORE}/pretrained/networks/start.ckpt"]
    for seed, uri in enumerate(uris):
        with tempfile.TemporaryDirectory() as scratch:
            save(Path(scratch) / "c.ckpt", Network(spec, seed=seed), no_names(spec))
            bench.store.write_file(uri, Path(scratch) / "c.ckpt")
    best, start = (hashlib.sha256(bench.store.read_bytes(uri)).hexdigest() for uri in uris)
    bench.store.write(f"{RUN}train/result.json", train_result(uris[0], best))
    plan = plan_result(
        tuple(evaluations(Evaluations(f"{RUN}e/"), ["train", "val"], "val", None)),
        dataset_uri=dataset.dataset_uri,
        dataset_digest=dataset.digest,
        weights=weights_result(sha256=start, uri=uris[1], is_chance=False),
        evaluate=EvaluateOptions(crops=1),
    )
    bench.store.write(f"{plan.decision_uri}plan/result.json", plan)


def register(mlflow, store, name="retake-tsn", **tags):
    """Register the trained network as version 1 and challenger."""
    uri = f"{RUN}train/best.pt"
    known = {"retake.checkpoint_uri": uri, "retake.checkpoint_sha256": store.stat(uri).etag, "retake.run_key": "0123"}
    mlflow.create_registered_model(name, {"retake.store": STORE})
    mlflow.create_model_version(name, source="", run_id=mlflow.create_run("1").info.run_id, tags=known | tags)
    mlflow.set_registered_model_alias(name, "challenger", "1")


def plan_of(bench, report):
    return bench.store.read(f"{report.page_uri.removesuffix('report/report.html')}plan/result.json", PredictPlanResult)
