"""Run the step evaluate on noise, without servers."""

import hashlib
from contextlib import contextmanager

import numpy as np
import pytest

from tasks.contracts.retrain import EvaluateArguments
from tasks.media import frame_cache, prefetch
from tasks.model.checkpoints import save
from tasks.model.class_names import ClassNames
from tasks.model.engines.choice import OPENVINO_FROM_CLIPS
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.options import EvaluateOptions, LabelOptions, SegmentOptions, SplitOptions
from tasks.results.dataset import ClassRef, DatasetClip, Manifest, Vocabulary
from tasks.results.evaluation import EvaluateResult
from tasks.steps import _training
from tasks.steps.retrain import evaluate
from tasks.steps.retrain.plan import evaluations
from tasks.store.runs import Evaluations
from tests.steps.shelf import RUN, Shelf, plan_result, train_result

SPEC = NetworkSpec(backbone="test_resnet", num_segments=2)
NUM_VAL, NUM_TRAIN = OPENVINO_FROM_CLIPS - 2, 3
CHECKPOINT = f"{RUN}c.ckpt"


class Book:
    """What was logged to MLflow."""

    def __init__(self):
        self.artifacts, self.metrics = [], {}

    def log_artifacts(self, run_id, folder, path):
        self.artifacts += [f"{path}/{file.relative_to(folder)}" for file in sorted(folder.rglob("*")) if file.is_file()]

    def log_metrics(self, run_id, metrics):
        self.metrics.update(metrics)


def clip(number, split):
    return DatasetClip(
        uid=f"{number:012x}-0000",
        split=split,
        source=f"video-{number % 4}",
        names=("a.mp4",),
        video="0" * 64,
        uri=f"s3://retake/clips/{number}.mp4",
        sha256=f"{number:064x}",
        start_seconds=0,
        stop_seconds=8,
        num_frames=240,
        width=300,
        height=256,
        verb="put",
        noun="meat",
        verb_class=1,
        noun_class=26,
        origin="folder",
    )


@pytest.fixture
def shelf(tmp_path):
    """A plan, a dataset of noise and two networks."""
    made = Shelf()
    save(tmp_path / "c.ckpt", Network(SPEC, seed=1), ClassNames(verbs=tuple(map(str, range(125))), nouns=tuple(map(str, range(352)))))
    checkpoint = (tmp_path / "c.ckpt").read_bytes()
    sha256 = hashlib.sha256(checkpoint).hexdigest()
    made.write_bytes(CHECKPOINT, checkpoint)
    made.write(
        "s3://retake/datasets/x/manifest.json",
        Manifest(
            recipe="r",
            segment=SegmentOptions(),
            label=LabelOptions(),
            split=SplitOptions(),
            vocabulary=Vocabulary(verbs=(ClassRef(id=1, name="put"),), nouns=(ClassRef(id=26, name="meat"),)),
            clips=tuple(clip(i, "val" if i < NUM_VAL else "train") for i in range(NUM_VAL + NUM_TRAIN)),
            excluded=(),
            warnings=(),
        ),
    )

    def plan(champion=None, **options):
        record = plan_result(
            evaluations=tuple(evaluations(Evaluations(RUN), ["train", "val"], champion)),
            evaluate=EvaluateOptions(bootstrap_resamples=100, **options),
            champion=champion,
            sha256=sha256,
        )
        made.write(f"{RUN}decisions/d/plan/result.json", record)

    plan(crops=1)
    made.plan, made.sha256, made.bright = plan, sha256, set()
    made.write(f"{RUN}train/result.json", train_result(CHECKPOINT, sha256))
    return made


@pytest.fixture
def score(shelf, tmp_path, monkeypatch):
    """Run the step, without MLflow and on noise in place of decoded clips; gives its result and what was logged."""
    monkeypatch.setenv("RETAKE_DEVICE", "cpu")
    book = Book()

    def frames(store, clips, spec, root=None, describer=None):
        paths = {}
        for one in clips:
            paths[one.uid] = tmp_path / f"{one.uid}-{spec.num_segments}.npy"
            number = int(one.sha256, 16)
            noise = np.random.default_rng(number).integers(0, 256, (spec.num_frames, 256, 300, 3), dtype=np.uint8)
            np.save(paths[one.uid], noise // 4 + 190 if number in shelf.bright else noise)
        return paths

    @contextmanager
    def tracked(tracker, plan):
        yield "run"

    monkeypatch.setattr(evaluate, "cache_test_frames", frames)
    monkeypatch.setattr(frame_cache, "cache_test_frames", frames)
    monkeypatch.setattr(prefetch, "cache_test_frames", frames)
    monkeypatch.setattr(_training, "cache_test_frames", frames)
    monkeypatch.setattr(_training, "cache_train_frames", lambda store, clips, spec, *_: frames(store, clips, spec))
    monkeypatch.setattr(evaluate, "tracked_run", tracked)
    monkeypatch.setattr(evaluate, "load", lambda settings: evaluate.MachineSettings() if settings is evaluate.MachineSettings else None)
    monkeypatch.setattr(evaluate.Tracker, "from_settings", lambda settings: book)

    def run(model):
        arguments = EvaluateArguments(store="s3://retake", plan=f"{RUN}decisions/d/plan/", model=model)
        results = [shelf.read(uri, EvaluateResult) for uri in evaluate.run(arguments, shelf).result_uris]
        return {result.split: result for result in results}, book

    return run
