"""Run the step evaluate on noise, without servers."""

import threading

import numpy as np
import pytest

from tasks.data.clips import frame_cache
from tasks.errors import Unavailable
from tasks.judge.statistics.scoring import score_clips
from tasks.learn.engines.choice import OPENVINO_FROM_CLIPS
from tasks.learn.engines.scorer import make_scorer
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.options import EvaluateOptions, TrainOptions
from tasks.options.base import STORED
from tasks.pipeline import _training
from tasks.pipeline.retrain import _ready, evaluate
from tasks.pipeline.retrain.contract import PlannedArguments
from tasks.pipeline.retrain.plan import evaluations
from tasks.store.records.dataset import Manifest
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Evaluations
from tests.pipeline.shelf import RUN, Shelf, dataset_clip, manifest_of, plan_result, put_trained, words

SPEC = NetworkSpec(backbone="test_resnet", num_segments=2)
NUM_VAL, NUM_TRAIN = OPENVINO_FROM_CLIPS - 2, 3
CHECKPOINT = f"{RUN}c.ckpt"
MANIFEST = "s3://retake/datasets/x/manifest.json"


def clip(number, split):
    named = {"uid": f"{number:012x}-0000", "source": f"video-{number % 4}", "uri": f"s3://retake/clips/{number}.mp4"}
    return dataset_clip(split=split, sha256=f"{number:064x}", width=300, height=256, **named)


def relabel(shelf, label, numbers=range(NUM_VAL + NUM_TRAIN), verbs=None, nouns=None):
    """Give the clips of these numbers a label, and the dataset this vocabulary."""
    known = shelf.read(MANIFEST, Manifest).clips
    clips = tuple(clip.model_copy(update=label if number in numbers else {}) for number, clip in enumerate(known))
    shelf.write(MANIFEST, manifest_of(clips, words(verbs or {1: "put"}, nouns or {26: "meat"})))
    return clips


class Scorings(list):
    """The splits that are scored, in their order; the process is cut off in the one at `killed_at`, counted from 1."""

    killed_at = None


@pytest.fixture
def scorings(monkeypatch):
    made = Scorings()

    def counted(clips, *arguments, **options):
        made.append(clips[0].split)
        if len(made) == made.killed_at:
            raise Unavailable("killed")
        return score_clips(clips, *arguments, **options)

    monkeypatch.setattr(_ready, "score_clips", counted)
    return made


@pytest.fixture
def undrawn(monkeypatch):
    """Leave confusions and losses undrawn, which tests/judge/report draws, and where a network looked."""
    for figure in ("confusion_figure", "clip_loss_figure"):
        monkeypatch.setattr(evaluate, figure, lambda *_: b"a picture")
    monkeypatch.setattr(evaluate, "NUM_ACTIVATION_MAPS", 0)


SCORERS = {}


def made_once(saved, wanted, jobs):
    """Convert and check each network once for each engine, which takes seconds; all tests have the same clips."""
    key = (
        tuple((network.spec, weights_sha256(network)) for network in saved.networks),
        saved.weights,
        wanted,
        jobs[0].num_clips,
        jobs[0].num_crops,
    )
    if key not in SCORERS:
        SCORERS[key] = make_scorer(saved, wanted, jobs)
    return SCORERS[key]


@pytest.fixture
def shelf():
    """A plan, a dataset of noise and two networks."""
    made = Shelf()
    classes = ClassNames(verbs=tuple(map(str, range(125))), nouns=tuple(map(str, range(352))))
    sha256 = put_trained(made, Network(SPEC, seed=1), classes, CHECKPOINT)
    clips = (clip(i, "val" if i < NUM_VAL else "train") for i in range(NUM_VAL + NUM_TRAIN))
    made.write(MANIFEST, manifest_of(clips))

    def plan(champion=None, previous=None, train=None, splits=("train", "val"), **options):
        record = plan_result(
            evaluations=tuple(evaluations(Evaluations(RUN), splits, "val", champion, previous)),
            evaluate=EvaluateOptions.model_validate({"bootstrap_resamples": 100, **options}, context=STORED),
            champion=champion,
            previous=previous,
            deciding_split="val",
            sha256=sha256,
            train=TrainOptions(backbone="test_resnet", num_segments=2, **train or {}),
        )
        made.write(f"{RUN}decisions/d/plan/result.json", record)

    plan(crops=1)
    made.plan, made.sha256, made.bright = plan, sha256, set()
    return made


@pytest.fixture
def score(shelf, mlflow, undrawn, tmp_path, monkeypatch):
    """Run the step on noise in place of decoded clips, on all networks of the plan or on this one; gives the results and the run in MLflow."""
    monkeypatch.setenv("RETAKE_DEVICE", "cpu")

    def frames(store, clips, spec, root=None):
        paths = {}
        for clip in clips:
            paths[clip.uid] = tmp_path / f"{clip.uid}-{spec.num_segments}.npy"
            number = int(clip.sha256, 16)
            noise = np.random.default_rng(number).integers(0, 256, (spec.num_frames, 256, 300, 3), dtype=np.uint8)
            own = tmp_path / f"{clip.uid}-{threading.get_ident()}.npy"  # another thread may read them
            np.save(own, noise // 4 + 190 if number in shelf.bright else noise)
            own.replace(paths[clip.uid])
        return paths

    monkeypatch.setattr(_ready, "make_scorer", made_once)
    monkeypatch.setattr(evaluate, "cache_test_frames", frames)
    monkeypatch.setattr(frame_cache, "cache_test_frames", frames)
    monkeypatch.setattr(_training, "cache_test_frames", frames)
    monkeypatch.setattr(_training, "cache_train_frames", lambda store, clips, spec, *_: frames(store, clips, spec))

    def run(model=None):
        place = f"{RUN}decisions/d/plan/"
        plan = shelf.read(f"{place}result.json", PlanResult)
        of_model = tuple(planned for planned in plan.evaluations if model in (None, planned.model))
        shelf.write(f"{place}result.json", plan.model_copy(update={"evaluations": of_model}))
        try:
            result = evaluate.run(PlannedArguments(store="s3://retake", plan=place), shelf)
        finally:
            shelf.write(f"{place}result.json", plan)
        results = [shelf.read(uri, EvaluateResult) for uri in result.result_uris]
        return {result.split if model else (result.model, result.split): result for result in results}, mlflow.named("0123")

    return run
