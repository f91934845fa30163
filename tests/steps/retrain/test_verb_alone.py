"""Clips whose labels name no object, every step from the training to a prediction real, but for the store and MLflow."""

import csv
import io
import re
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from tasks.contracts.commands import STEPS
from tasks.dataset.manifest import split_csv
from tasks.keys import recipe_of
from tasks.model.checkpoints import load, save
from tasks.model.class_names import no_names
from tasks.model.network import Network
from tasks.model.spec import spec_of
from tasks.options import EvaluateOptions, GateOptions, LabelOptions, PredictOptions, SegmentOptions, SplitOptions, TrainOptions, Weights
from tasks.promotion.verdict import verdict_on
from tasks.results.dataset import NO_OBJECT, ClassRef, DatasetClip, Manifest, Vocabulary
from tasks.results.evaluation import EvaluateResult
from tasks.results.metrics import Metrics
from tasks.results.prediction import KnownLabels, PredictedVideo, PredictionBatch, Predictor, PredictPlanResult
from tasks.results.record import VERB_ALONE
from tasks.results.training import PlanResult, WeightsResult
from tasks.results.video import BatchRef, ClipsFile
from tasks.steps import _training
from tasks.steps._checkpoints import file_sha256
from tasks.steps.predict_videos import predict_batch, predict_known, predict_report
from tasks.steps.retrain import compare, evaluate, report, train
from tasks.steps.retrain.plan import evaluations
from tasks.store.runs import Evaluations
from tests.steps.shelf import Shelf, filmed, recorded

ROOT = "s3://retake"
RUN, DATASET, PREDICTION = f"{ROOT}/runs/0123/", f"{ROOT}/datasets/d/", f"{ROOT}/predictions/p/"
DECISION = f"{RUN}decisions/d/"
WORDS = {125: "wave", 126: "наливать"}
NONE_ID = 352
OPTIONS = TrainOptions(backbone="test_resnet", num_segments=2, epochs=2, batch_size=2, learning_rate=1e-3, weights=Weights.NONE)
OF_OBJECTS = re.compile(r"noun|action|\(none\)", re.IGNORECASE)


class Book:
    """What was logged to MLflow."""

    def __init__(self):
        self.metrics, self.tags, self.files = {}, {}, set()

    def run_url(self, run_id):
        return "http://mlflow/#/experiments/1/runs/r"

    def ensure_run(self, *_):
        return "r"

    @contextmanager
    def running(self, run_id):
        yield

    def log_metrics(self, run_id, metrics):
        self.metrics.update(metrics)

    def log_epochs(self, run_id, epochs):
        for epoch in epochs:
            self.metrics.update(epoch.model_dump(exclude_none=True))

    def set_tags(self, run_id, tags):
        self.tags.update(tags)

    def log_artifacts(self, run_id, folder, path=None):
        self.files |= {file.name for file in folder.rglob("*")}

    def log_params(self, *_): ...

    def log_dataset(self, *_, **__): ...

    def finish(self, run_id): ...


def dataset_clip(clip, number, split):
    verb = 125 + number % 2
    return DatasetClip(
        split=split,
        source=f"film {number // 2}",
        names=("a.mp4",),
        verb=WORDS[verb],
        noun=NO_OBJECT,
        verb_class=verb,
        noun_class=NONE_ID,
        origin="folder",
        **clip.model_dump(exclude={"index", "size_bytes", "has_audio"}),
    )


@pytest.fixture
def workbench(ffmpeg, tmp_path, monkeypatch):
    """A dataset, and a plan of a network with EPIC's heads that is to be trained on it."""
    for name, value in {"CACHE_DIR": tmp_path / "cache", "DEVICE": "cpu", "NUM_PROCESSES": 1, "MLFLOW_URI": "http://mlflow"}.items():
        monkeypatch.setenv(f"RETAKE_{name}", str(value))
    book = Book()
    for step in (_training, evaluate, compare, report, predict_report):
        monkeypatch.setattr(step, "Tracker", SimpleNamespace(from_settings=lambda settings: book))
    shelf = Shelf(filmed(ffmpeg, tmp_path / "clip.mp4").read_bytes())
    clips = [dataset_clip(clip, i, "train" if i < 4 else "val") for i, clip in enumerate(shelf.clips("c" * 64, 8))]
    manifest = Manifest(
        recipe="r",
        segment=SegmentOptions(),
        label=LabelOptions(),
        split=SplitOptions(),
        vocabulary=Vocabulary(
            verbs=tuple(ClassRef(id=i, name=name) for i, name in WORDS.items()), nouns=(ClassRef(id=NONE_ID, name=NO_OBJECT),)
        ),
        clips=tuple(clips),
        excluded=(),
        warnings=(),
    )
    shelf.write(f"{DATASET}manifest.json", manifest)
    for split in ("train", "val"):
        shelf.write_bytes(f"{DATASET}{split}.csv", split_csv(manifest, split))
    spec = spec_of(OPTIONS)
    save(tmp_path / "start.ckpt", Network(spec), no_names(spec))
    shelf.write_file(f"{ROOT}/start.ckpt", tmp_path / "start.ckpt")
    plan = PlanResult(
        run_key="0123",
        run_uri=RUN,
        dataset_uri=DATASET,
        dataset_digest="d",
        train=OPTIONS,
        evaluate=EvaluateOptions(crops=1, engine="openvino", bootstrap_resamples=100),
        gate=GateOptions(),
        decision_uri=DECISION,
        num_champions=0,
        model_name="m",
        weights=WeightsResult(
            network=spec.title,
            backbone="test_resnet",
            weights=Weights.NONE,
            uri=f"{ROOT}/start.ckpt",
            sha256=file_sha256(tmp_path / "start.ckpt"),
            description="none",
            is_chance=True,
        ),
        champion=None,
        evaluations=tuple(evaluations(Evaluations(f"{RUN}evaluate/"), ["train", "val"], None)),
    )
    shelf.write(f"{DECISION}plan/result.json", plan)
    return shelf, book, plan


@pytest.mark.slow
def test_one_target_from_the_training_to_the_report_and_a_prediction(workbench, tmp_path):
    shelf, book, plan = workbench
    trained = run(train, shelf, plan=f"{DECISION}plan/")
    shelf.read_file(trained.checkpoint_uri, tmp_path / "best.pt")
    assert not load(tmp_path / "best.pt").classes.has_objects
    for one in plan.networks:
        run(evaluate, shelf, plan=f"{DECISION}plan/", model=one.model)
    compared = run(compare, shelf, plan=f"{DECISION}plan/")
    reported = run(report, shelf, plan=f"{DECISION}plan/")
    results = {e.model: shelf.read(f"{e.out}result.json", EvaluateResult) for e in plan.evaluations if e.split == "val"}
    assert {result.targets for result in results.values()} == {VERB_ALONE}
    assert "4 of 4 val clips belong to classes that the baseline cannot name: verb 'wave' and verb 'наливать'." in shelf.objects[
        compared.table_uri
    ].decode().replace("\\", "")
    assert shelf.read(reported.metrics_uri, Metrics).targets == VERB_ALONE
    assert verdict_on(results["fine-tuned"], results["baseline"], compared.differences[0]) == compared.verdict
    page = re.sub(r'<table class="settings">.*?</table>', "", shelf.objects[reported.report_uri].decode(), flags=re.DOTALL)
    shown = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    assert "Verbs" in shown
    assert {
        found.group() for text in (shown, reported.question, compared.reason, *book.metrics) if (found := OF_OBJECTS.search(text))
    } == set()
    assert "fine-tuned/val/verb_top1" in book.metrics
    assert not [file for file in book.files if OF_OBJECTS.search(file)]

    predict(shelf, plan, trained)
    rows = list(csv.DictReader(io.StringIO(shelf.objects[f"{PREDICTION}report/predictions.csv"].decode())))
    assert {row["network"] for row in rows} == {"model", "baseline"}
    assert not [name for name in rows[0] if OF_OBJECTS.search(name)]
    told = re.sub(r"<style>.*?</style>|<[^>]+>", " ", shelf.objects[f"{PREDICTION}report/report.html"].decode(), flags=re.DOTALL)
    assert "The two networks predict the same verb on " in told
    assert not OF_OBJECTS.search(told)


def run(step, shelf, **arguments):
    """Run a step as the command line does."""
    model = next(contract.arguments for contract in STEPS.values() if contract.full_module == step.__name__)
    return step.run(model(store=ROOT, **arguments), shelf)


def predict(shelf, plan, trained):
    """Both networks on a new video."""
    video, recipe = "a" * 64, recipe_of(SegmentOptions())
    clips = shelf.clips(video, 2, recipe)
    shelf.write(f"{ROOT}/videos/{video}/probe.json", recorded(video))
    cut = ClipsFile(video=video, recipe=recipe, options=SegmentOptions(), clips=clips, dropped_seconds=0, warnings=(), set_aside=None)
    shelf.write(f"{ROOT}/clips/{video}/{recipe}/clips.json", cut)
    shelf.write(f"{PREDICTION}labels.json", KnownLabels(labels=()))
    batch = BatchRef(name="0", uri=f"{PREDICTION}batches/0000.json", out=f"{PREDICTION}batches/0000/")
    shelf.write(batch.uri, PredictionBatch(videos=(PredictedVideo(video=video, name="new.mp4"),)))
    both = {
        role: Predictor(
            label=label,
            description="",
            checkpoint_uri=uri,
            checkpoint_sha256=sha256,
            flows=(),
            verb_temperature=1,
            noun_temperature=1,
            is_calibrated=False,
            calibration="",
        )
        for role, label, uri, sha256 in (
            ("model", "model", trained.checkpoint_uri, trained.checkpoint_sha256),
            ("against", "baseline", plan.weights.uri, plan.weights.sha256),
        )
    }
    planned = PredictPlanResult(
        key="p",
        prediction_uri=PREDICTION,
        store=ROOT,
        segment=SegmentOptions(),
        evaluate=EvaluateOptions(crops=1, engine="pytorch", bootstrap_resamples=100),
        predict=PredictOptions(preview=True),
        **both,
        missing=(),
        run_uri=RUN,
        model_dataset_uri=DATASET,
        dataset_uris=(DATASET,),
        set_aside=(),
        num_videos=1,
        batches=(batch,),
    )
    shelf.write(f"{PREDICTION}plan/result.json", planned)
    common = {"plan": f"{PREDICTION}plan/"}
    run(predict_known, shelf, **common)
    run(predict_batch, shelf, batch=batch.uri, **common)
    run(predict_report, shelf, **common)
