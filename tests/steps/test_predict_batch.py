import hashlib

import pytest
import torch

from tasks.errors import BadCheckpoint
from tasks.evaluation.prediction.familiar import from_bytes
from tasks.evaluation.prediction.scored import read_scored
from tasks.keys import recipe_of
from tasks.model.checkpoints import ClassNames, save
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.options import EvaluateOptions, FlowOptions, LabelOptions, Modality, PredictOptions, SegmentOptions, SplitOptions
from tasks.results.dataset import DatasetClip, Manifest, Vocabulary
from tasks.results.prediction import (
    KnownClipsResult,
    PredictBatchResult,
    PredictedVideo,
    PredictionBatch,
    Predictor,
    PredictPlanResult,
)
from tasks.results.video import ClipsFile
from tasks.steps import predict_batch, predict_known
from tests.steps.shelf import Shelf, filmed, recorded

ROOT = "s3://retake"
PREDICTION, RUN, DATASET = f"{ROOT}/predictions/p/", f"{ROOT}/runs/0123/", f"{ROOT}/datasets/d/"
RECIPE = recipe_of(SegmentOptions())
FIRST, SECOND, TRAINED = "a" * 64, "b" * 64, "c" * 64
NUM_CLIPS = 5
RGB = NetworkSpec(backbone="test_resnet", num_segments=2)
FLOW = NetworkSpec(backbone="test_resnet", num_segments=2, modality=Modality.FLOW, flow=FlowOptions(flow_method="dis"))
CLASSES = ClassNames(verbs=tuple(map(str, range(125))), nouns=tuple(map(str, range(352))))


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """torch's threads spin while they wait, which costs the other processes of a small machine."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def clip_bytes(ffmpeg, tmp_path_factory):
    return filmed(ffmpeg, tmp_path_factory.mktemp("film") / "clip.mp4").read_bytes()


class Job:
    """Two videos of a few clips, two networks, and the steps that predict."""

    def __init__(self, shelf, folder):
        self.shelf, self.folder = shelf, folder
        self.cut = {video: shelf.clips(video, NUM_CLIPS, RECIPE) for video in (FIRST, SECOND)}
        for video, clips in self.cut.items():
            shelf.write(f"{ROOT}/videos/{video}/probe.json", recorded(video))
            self.put_clips(video, clips)
        shelf.write(
            f"{PREDICTION}batches/0000.json",
            PredictionBatch(videos=(PredictedVideo(video=FIRST, name="first.mp4"), PredictedVideo(video=SECOND, name="second.mp4"))),
        )
        self.trained_on = shelf.clips(TRAINED, 4)
        shelf.write(f"{DATASET}manifest.json", manifest(self.trained_on))
        self.write_plan()

    def put_clips(self, video, clips):
        self.shelf.write(
            f"{ROOT}/clips/{video}/{RECIPE}/clips.json",
            ClipsFile(video=video, recipe=RECIPE, options=SegmentOptions(), clips=clips, dropped_seconds=0, warnings=(), set_aside=None),
        )

    def write_plan(self, spec=RGB, engine="pytorch", preview=False):
        self.model, self.against = (self.predictor(label, spec, seed) for seed, label in enumerate(("model", "baseline")))
        self.shelf.write(
            f"{PREDICTION}plan/result.json",
            PredictPlanResult(
                key="p",
                prediction_uri=PREDICTION,
                store=ROOT,
                segment=SegmentOptions(),
                evaluate=EvaluateOptions(crops=1, engine=engine),
                predict=PredictOptions(preview=preview),
                model=self.model,
                against=self.against,
                missing=(),
                run_uri=RUN,
                dataset_uris=(DATASET,),
                set_aside=(),
                num_videos=2,
                batches=(),
            ),
        )

    def predictor(self, label, spec, seed):
        path = self.folder / f"{label}.ckpt"
        save(path, Network(spec, seed=seed), CLASSES)
        uri = f"{RUN}{label}.ckpt"
        self.shelf.write_file(uri, path)
        return Predictor(
            label=label,
            description="",
            checkpoint_uri=uri,
            checkpoint_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            flows=(),
            verb_temperature=1,
            noun_temperature=1,
            is_calibrated=False,
            calibration="",
        )

    def know(self, out=f"{PREDICTION}known/"):
        return predict_known.run(predict_known.Arguments(store=ROOT, out=out, plan=f"{PREDICTION}plan/"), self.shelf)

    def predict(self):
        if not self.shelf.exists(f"{PREDICTION}known/result.json"):
            self.shelf.write(f"{PREDICTION}known/result.json", KnownClipsResult(num_clips=0, features_uri=None, reason=""))
        return predict_batch.run(
            predict_batch.Arguments(
                store=ROOT,
                out=f"{PREDICTION}batches/0000/",
                plan=f"{PREDICTION}plan/",
                batch=f"{PREDICTION}batches/0000.json",
                known=f"{PREDICTION}known/",
            ),
            self.shelf,
        )

    def scored(self, video):
        path = self.folder / "scored.parquet"
        self.shelf.read_file(f"{PREDICTION}scored/{video}/clips.parquet", path)
        return read_scored(path)


def manifest(clips):
    return Manifest(
        recipe=RECIPE,
        segment=SegmentOptions(),
        label=LabelOptions(),
        split=SplitOptions(),
        vocabulary=Vocabulary(verbs=(), nouns=()),
        clips=tuple(
            DatasetClip(
                split="train",
                source=TRAINED,
                names=("trained.mp4",),
                verb="put",
                noun="meat",
                verb_class=1,
                noun_class=26,
                origin="folder",
                **clip.model_dump(exclude={"index", "size_bytes", "has_audio"}),
            )
            for clip in clips
        ),
        excluded=(),
        warnings=(),
    )


@pytest.fixture
def job(clip_bytes, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RETAKE_DEVICE", "cpu")
    return Job(Shelf(clip_bytes), tmp_path)


def test_damaged_clips_cost_themselves_also_where_the_engine_is_checked_on_them(job, tmp_path):
    job.write_plan(engine="openvino")
    for number in (0, 1):
        job.shelf.write_bytes(job.cut[FIRST][number].uri, b"no video")
    job.shelf.remove(job.cut[SECOND][4].uri)
    result = job.predict()
    assert {(video.name, video.num_clips) for video in result.videos} == {("first.mp4", 3), ("second.mp4", 4)}
    assert [bad.name for bad in result.set_aside] == ["first.mp4, 0-1 s", "first.mp4, 1-2 s", "second.mp4, 4-5 s"]
    assert all(bad.reason for bad in result.set_aside)
    assert job.scored(FIRST).uids == tuple(clip.uid for clip in job.cut[FIRST][2:])
    assert {used.num_checked_clips for used in result.engines.values()} == {3}
    assert list((tmp_path / "cache/frames").iterdir()) == [], "nothing of what was predicted stays in the cache"


def test_a_video_without_a_readable_record_or_clip_costs_itself(job):
    job.shelf.write_bytes(f"{ROOT}/videos/{FIRST}/probe.json", b"{")
    result = job.predict()
    assert [video.name for video in result.videos] == ["second.mp4"]
    assert [bad.name for bad in result.set_aside] == ["first.mp4"]


def test_where_no_clip_decodes_every_video_is_named(job):
    job.write_plan(engine="openvino")
    for video in (FIRST, SECOND):
        job.put_clips(video, job.cut[video][:1])
        job.shelf.write_bytes(job.cut[video][0].uri, b"no video")
    result = job.predict()
    assert result.videos == ()
    assert [(bad.name, bad.reason.partition(":")[0]) for bad in result.set_aside] == [
        ("first.mp4", "none of its clips can be had"),
        ("second.mp4", "none of its clips can be had"),
    ]
    assert {used.name for used in result.engines.values()} == {"pytorch"}


@pytest.mark.parametrize("is_gone", [True, False])
def test_without_the_second_network_the_first_goes_on_and_says_so(job, is_gone):
    if is_gone:
        job.shelf.remove(job.against.checkpoint_uri)
    else:
        job.shelf.write_bytes(job.against.checkpoint_uri, b"another file")
    result = job.predict()
    assert (len(result.videos), set(result.engines), len(result.missing)) == (2, {"model"}, 1)
    assert job.against.checkpoint_uri in result.missing[0]
    assert set(job.scored(FIRST).logits) == {"model"}


def test_a_changed_model_ends_the_batch(job):
    job.shelf.write_bytes(job.model.checkpoint_uri, b"another file")
    with pytest.raises(BadCheckpoint, match="not the file that was recorded"):
        job.predict()


def test_a_retry_scores_no_video_that_is_kept(job):
    job.shelf.write_bytes(job.cut[FIRST][3].uri, b"no video")
    first = job.predict()
    kept = dict(job.shelf.objects)
    # As a try that was killed in the second video leaves it.
    job.shelf.remove(f"{PREDICTION}batches/0000/result.json")
    job.shelf.remove(f"{PREDICTION}scored/{SECOND}/result.json")
    for clip in job.cut[FIRST][:2]:
        job.shelf.write_bytes(clip.uri, b"no video")
    again = job.predict()
    timed = {"scoring_seconds", "peak_memory_bytes"}
    assert again.model_dump(exclude=timed) == first.model_dump(exclude=timed)
    for video in (FIRST, SECOND):
        uri = f"{PREDICTION}scored/{video}/clips.parquet"
        assert job.shelf.objects[uri] == kept[uri]


def test_a_preview_shows_the_clips_that_were_scored(job):
    job.write_plan(preview=True)
    job.shelf.write_bytes(job.cut[FIRST][3].uri, b"no video")
    result = job.predict()
    assert [job.shelf.exists(video.preview_uri) for video in result.videos] == [True, True]
    assert result.warnings == ()


def test_clips_with_less_motion_than_is_looked_at_are_named(job, ffmpeg):
    job.write_plan(FLOW, "pytorch")
    short = filmed(ffmpeg, job.folder / "short.mp4", seconds=0.1)
    whole = job.cut[FIRST][:2]
    job.shelf.write_file(whole[1].uri, short)
    job.put_clips(FIRST, (whole[0], whole[1].model_copy(update={"num_frames": 3})))
    job.put_clips(SECOND, job.cut[SECOND][:1])
    result = job.predict()
    assert [video.num_clips for video in result.videos] == [2, 1]
    assert [(one.name, one.reason[:31]) for one in result.warnings] == [("first.mp4, 1-2 s", "3 frames make 2 fields of flow,")]


def test_training_clips_that_cannot_be_had_are_left_out_of_what_is_known(job, tmp_path):
    job.shelf.write_bytes(job.trained_on[0].uri, b"no video")
    job.shelf.remove(job.trained_on[2].uri)
    known = job.know()
    assert (known.num_clips, known.reason) == (2, "2 of 4 training clips; 2 could not be had")
    assert from_bytes(job.shelf.read_bytes(known.features_uri), "").shape[0] == 2
    assert list((tmp_path / "cache/frames").iterdir()) == []
    assert job.know(f"{PREDICTION}again/").features_uri == known.features_uri


def test_without_any_training_clip_a_prediction_says_nothing_of_novelty(job):
    for clip in job.trained_on:
        job.shelf.remove(clip.uri)
    known = job.know()
    assert known == KnownClipsResult(num_clips=0, features_uri=None, reason="none of 4 clips that model was trained on can be had")
    assert job.predict().set_aside == ()


def test_what_is_known_is_kept_by_engine_and_code(job, monkeypatch):
    uris = {job.know().features_uri}
    job.write_plan(engine="auto")
    uris.add(job.know(f"{PREDICTION}by-another/").features_uri)
    monkeypatch.setenv("RETAKE_CODE_VERSION", "another")
    uris.add(job.know(f"{PREDICTION}by-other-code/").features_uri)
    assert len(uris) == 3
    assert all(job.shelf.exists(uri) for uri in uris)


def test_what_is_known_is_looked_at_again_where_its_file_is_damaged(job):
    uri = job.know().features_uri
    whole = job.shelf.read_bytes(uri)
    job.shelf.write_bytes(uri, b"damaged")
    assert job.know(f"{PREDICTION}again/").features_uri == uri
    assert job.shelf.read_bytes(uri) == whole


def test_the_result_is_kept_whole(job):
    result = job.predict()
    assert job.shelf.read(f"{PREDICTION}batches/0000/result.json", PredictBatchResult) == result
    assert job.predict() == result
