import hashlib
from functools import cache

import numpy as np
import pytest
import torch

from tasks.data.clips.flow_and_sound import compute_flow, flow_uri
from tasks.data.video.frames import iter_fields, iter_frames, num_fields
from tasks.errors import BadCheckpoint, BadConfiguration
from tasks.keys import recipe_of
from tasks.learn.inputs.crops import Normalise, cut_views
from tasks.learn.inputs.snippets import joined, middle_snippets
from tasks.learn.networks.checkpoints import save, save_joined
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import FAMILIES, ClassNames, NetworkSpec
from tasks.learn.training.job import joint_spec
from tasks.options import EvaluateOptions, Family, FlowOptions, Head, Modality, PredictOptions, SegmentOptions, TrainOptions
from tasks.options.base import STORED
from tasks.pipeline.predict_videos import predict_batch, predict_known
from tasks.pipeline.predict_videos._chosen import names_of
from tasks.pipeline.predict_videos._one_video import NOTHING_TO_HEAR
from tasks.pipeline.predict_videos.contract import PredictBatchArguments, PredictionArguments
from tasks.predict.scored_video import read_scored
from tasks.predict.to_label import from_bytes
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.prediction import KnownClipsResult, PredictBatchResult, PredictedVideo, PredictionBatch, PredictPlanResult
from tasks.store.records.record import TARGETS, VERB_ALONE
from tests.pipeline.shelf import RUN, Shelf, cut_into, dataset_clip, filmed, manifest_of, predict_plan, predictor, words

pytestmark = pytest.mark.slow

ROOT = "s3://retake"
PREDICTION, DATASET = f"{ROOT}/predictions/p/", f"{ROOT}/datasets/d/"
RECIPE = recipe_of(SegmentOptions())
FIRST, SECOND, TRAINED = "a" * 64, "b" * 64, "c" * 64
WINDOWS = [(3, f"{PREDICTION}scored/{video}/windows.parquet") for video in (FIRST, SECOND)]
NUM_CLIPS = 3
DIS = FlowOptions(flow_method="dis")
RGB = NetworkSpec(backbone="test_resnet", num_segments=2)
SOUND = NetworkSpec(backbone="log-mel", modality=Modality.SOUND, num_segments=3)
FLOW = NetworkSpec(backbone="test_resnet", num_segments=2, modality=Modality.FLOW, flow=DIS)
CLASSES = ClassNames(verbs=tuple(map(str, range(125))), nouns=tuple(map(str, range(352))))


@pytest.fixture(scope="module")
def film(ffmpeg, tmp_path_factory):
    """The film that every clip shows."""
    return filmed(ffmpeg, tmp_path_factory.mktemp("film") / "clip.mp4")


@pytest.fixture(scope="module")
def dark(ffmpeg, tmp_path_factory):
    """A film of the same size and length without a picture."""
    return filmed(ffmpeg, tmp_path_factory.mktemp("dark") / "dark.mp4", picture="color=black:s=320x240:r=30")


@pytest.fixture(scope="module")
def flow_bytes(film):
    """Its optical flow."""
    shelf = Shelf(film.read_bytes())
    (clip,) = shelf.clips(FIRST, 1)
    compute_flow(shelf, [clip], DIS)
    return shelf.objects[flow_uri(clip.uri, DIS)]


class Job:
    """Two videos of a few clips, two networks, and the steps that predict."""

    segment = SegmentOptions()

    def __init__(self, shelf, folder):
        self.shelf, self.folder = shelf, folder
        self.classes = {"model": CLASSES, "baseline": CLASSES}
        self.cut = {video: shelf.clips(video, NUM_CLIPS, RECIPE) for video in (FIRST, SECOND)}
        for video, clips in self.cut.items():
            self.put_clips(video, clips)
        self.write_batch(FIRST, SECOND)
        self.trained_on = shelf.clips(TRAINED, 4)
        self.write_dataset("cccc")
        self.write_plan()

    def put_clips(self, video, clips):
        cut_into(self.shelf, video, clips, recipe=recipe_of(self.segment), options=self.segment)

    def write_dataset(self, films):
        """Say of which film each clip of the training is; those of film f are of the test split."""
        splits = {film: "test" if film == "f" else "train" for film in films}
        clips = [
            dataset_clip(
                video=film * 64, source=film, split=splits[film], **clip.model_dump(exclude={"video", "index", "size_bytes", "has_audio"})
            )
            for clip, film in zip(self.trained_on, films, strict=True)
        ]
        self.shelf.write(f"{DATASET}manifest.json", manifest_of(clips, words({}, {})))

    def write_batch(self, *videos):
        names = {FIRST: "first.mp4", SECOND: "second.mp4"}
        batch = PredictionBatch(videos=tuple(PredictedVideo(video=video, name=names[video]) for video in videos))
        self.shelf.write(f"{PREDICTION}batches/0000.json", batch)

    def write_plan(self, model=RGB, against=RGB, *, engine="pytorch", knows_training=True, stride=None, is_published=False):
        """A network is given as one, as its specification, or as members and their joint head."""
        self.model = self.predictor("model", model)
        self.against = against and self.predictor("baseline", against)
        plan = predict_plan(
            self.model,
            self.against,
            segment=self.segment,
            evaluate=EvaluateOptions.model_validate({"crops": 1, "engine": engine}, context=STORED),
            predict=PredictOptions(stride_seconds=stride),
            run_uri=RUN if knows_training else None,
            model_dataset_uri=DATASET if knows_training else None,
            dataset_uris=(DATASET,),
            has_published_backbone=is_published,
        )
        self.shelf.write(f"{PREDICTION}plan/result.json", plan)

    def predictor(self, label, network):
        path = self.folder / f"{label}.ckpt"
        if isinstance(network, NetworkSpec):
            network = made(network, int(label == "baseline"))
        if isinstance(network, Network):
            save(path, network, self.classes[label])
        else:
            save_joined(path, *network, self.classes[label])
        uri = f"{RUN}{label}.ckpt"
        self.shelf.write_file(uri, path)
        return predictor(label, uri, hashlib.sha256(path.read_bytes()).hexdigest())

    def put_flow(self, data):
        """As if the flow of the first clip had been computed before; gives a file with it."""
        self.shelf.write_bytes(flow_uri(self.cut[FIRST][0].uri, DIS), data)
        path = self.folder / "flow.mkv"
        path.write_bytes(data)
        return path

    def know(self):
        """Look at the training clips, also if that was done before."""
        self.shelf.delete([f"{PREDICTION}known/result.json"])
        return predict_known.run(PredictionArguments(store=ROOT, plan=f"{PREDICTION}plan/"), self.shelf)

    def predict(self):
        if not self.shelf.exists(f"{PREDICTION}known/result.json"):
            self.shelf.write(f"{PREDICTION}known/result.json", KnownClipsResult(num_clips=0, features_uri=None, reason=""))
        arguments = PredictBatchArguments(store=ROOT, plan=f"{PREDICTION}plan/", batch=f"{PREDICTION}batches/0000.json")
        return predict_batch.run(arguments, self.shelf)

    def scored(self, video, of="clips"):
        path = self.folder / "scored.parquet"
        self.shelf.read_file(f"{PREDICTION}scored/{video}/{of}.parquet", path)
        (clips,) = read_scored(path)
        return clips


@cache
def made(spec, seed):
    return Network(spec, seed=seed)


def view(film, spec, flow=None, first=0):
    """(t, c, h, w) what a network sees of the film's centre crop, apart from the steps; `flow` is the file with its optical flow.

    The film is seen from its `first` frame on, and then from its beginning.
    """
    num_frames = num_fields(30) if flow else 30
    snippets = middle_snippets(num_frames, spec.num_segments, spec.snippet.num_frames)
    numbers = [(first + number) % num_frames for snippet in snippets for number in snippet]
    frames = iter_fields(flow, numbers) if flow else iter_frames(film, numbers, short_side=256)
    (crop,) = cut_views(joined(np.stack(list(frames)), spec), 1, spec.modality)
    return Normalise(made(spec, 0).input_format)(torch.from_numpy(crop).permute(0, 3, 1, 2))


@torch.inference_mode()
def alone(network, seen):
    """The logits, verb (v,) and noun (n,), of one network."""
    return [logits[0].numpy() for logits in network.eval()(seen[None])]


def unreadable():
    """A network of which no logit is a finite number."""
    network = Network(RGB, seed=2)
    for part in (network.head.fc_noun.weight, network.head.fc_noun.bias):
        torch.nn.init.constant_(part, torch.finfo(torch.float32).max)
    return network


@torch.inference_mode()
def overflowing(on, beside):
    """A network whose first logit is more than a float holds on one film, and is not on the other."""
    network = Network(RGB, seed=2).eval()
    high, low = (network.backbone(view(film, RGB)).mean(0).double() for film in (on, beside))
    at = int((high - low).argmax())
    step = 5e37 / (high[at] - low[at])
    head = network.head.fc_verb
    head.weight[0] = 0
    head.weight[0, at] = step
    head.bias[0] = torch.finfo(torch.float32).max - step * (high[at] + low[at]) / 2
    return network


def spec_of(family, modality, num_segments=3):
    consensus, has_shift = FAMILIES[family]
    return NetworkSpec(
        backbone="test_resnet",
        num_segments=num_segments,
        modality=modality,
        flow=DIS if modality is Modality.FLOW else None,
        consensus=consensus,
        temporal_shift=has_shift,
    )


@pytest.fixture
def job(film, machine, tmp_path):
    return Job(Shelf(film.read_bytes()), tmp_path)


@pytest.fixture
def small(job):
    """One video of one clip."""
    job.put_clips(FIRST, job.cut[FIRST][:1])
    job.write_batch(FIRST)
    return job


@pytest.mark.parametrize(
    ("families", "modality"),
    [
        ((Family.TSN, Family.TRN), Modality.FLOW),
        ((Family.MTRN, Family.TSM), Modality.RGB_DIFFERENCE),
        ((Family.TSM, Family.TRN), Modality.RGB),
    ],
)
def test_every_family_and_every_input_is_answered_as_by_the_network_alone(small, film, flow_bytes, families, modality):
    networks = [made(spec_of(family, modality), seed) for seed, family in enumerate(families)]
    flow = small.put_flow(flow_bytes) if modality is Modality.FLOW else None
    small.write_plan(*networks)
    assert small.predict().set_aside == ()
    logits = small.scored(FIRST).logits
    for role, network in zip(("model", "against"), networks, strict=True):
        for scored, expected in zip(logits[role], alone(network, view(film, network.spec, flow)), strict=True):
            np.testing.assert_allclose(scored[0], expected, atol=np.ptp(expected) / 1000)


def test_a_clip_without_sound_is_named_and_answered_by_what_is_frequent(small):
    networks = [Network(spec, seed) for seed, spec in enumerate((SOUND, SOUND.model_copy(update={"num_segments": 2})))]
    for network in networks:
        torch.nn.init.normal_(network.head.fc_verb.bias)
    small.write_plan(*networks)
    result = small.predict()
    assert result.set_aside == ()
    assert [(warning.name, warning.reason) for warning in result.warnings] == [("first.mp4, 0-1 s", NOTHING_TO_HEAR)]
    verbs = [small.scored(FIRST).logits[role][0][0] for role in ("model", "against")]
    for scored, network in zip(verbs, networks, strict=True):
        np.testing.assert_array_equal(scored, network.head.fc_verb.bias.detach().numpy())


@pytest.mark.parametrize("head", [Head.LINEAR, Head.TCN])
def test_joined_features_of_a_clip_without_sound_are_answered_by_what_is_seen_and_it_is_named(small, film, head):
    members = [made(spec_of(Family.TSN, Modality.RGB), 0), Network(SOUND)]
    options = TrainOptions(fuse=["a", "b"], join="features", trainable="heads", head=head)
    joint = made(joint_spec(members, options), 3).eval()
    joint.backbone.mean.normal_()
    small.write_plan((members, joint))
    result = small.predict()
    assert result.set_aside == ()
    assert [warning.reason for warning in result.warnings] == [NOTHING_TO_HEAR]
    with torch.inference_mode():
        seen = members[0].eval().features(view(film, members[0].spec)[None])
        expected = joint.head(joint.backbone([seen, joint.backbone.mean[seen.shape[2] :].expand(1, 3, -1)]))
    for scored, logits in zip(small.scored(FIRST).logits["model"], expected, strict=True):
        np.testing.assert_allclose(scored[0], logits[0].numpy(), atol=float(logits.max() - logits.min()) / 1000)


@pytest.mark.parametrize("label", ["model", "baseline"])
def test_a_network_that_was_taught_verbs_alone_is_known_by_its_checkpoint_and_names_no_object(small, film, label):
    small.classes[label] = CLASSES.model_copy(update={"nouns": (*CLASSES.nouns[:-1], NO_OBJECT), "has_objects": False})
    small.write_plan()
    result = small.predict()
    role, other = ("model", "against") if label == "model" else ("against", "model")
    assert result.verb_alone == (role,)
    logits = small.scored(FIRST).logits
    assert logits[role][1].argmax() == 351
    assert logits[other][1].argmax() != 351
    names = names_of(small.shelf.read(f"{PREDICTION}plan/result.json", PredictPlanResult), small.shelf, result.verb_alone)
    assert names.targets == (VERB_ALONE if label == "model" else TARGETS)


def test_damaged_clips_cost_themselves_also_where_the_engine_is_checked_on_them(job, tmp_path):
    job.write_plan(against=None, engine="openvino")
    for number in (0, 1):
        job.shelf.write_bytes(job.cut[FIRST][number].uri, b"no video")
    job.shelf.remove(job.cut[SECOND][2].uri)
    result = job.predict()
    assert {(video.name, video.num_clips) for video in result.videos} == {("first.mp4", 1), ("second.mp4", 2)}
    assert [bad.name for bad in result.set_aside] == ["first.mp4, 0-1 s", "first.mp4, 1-2 s", "second.mp4, 2-3 s"]
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
    job.write_plan(against=None, engine="openvino")
    for video in (FIRST, SECOND):
        job.put_clips(video, job.cut[video][:1])
        job.shelf.write_bytes(job.cut[video][0].uri, b"no video")
    result = job.predict()
    assert result.videos == ()
    reason = "none of its clips can be predicted"
    assert [(bad.name, bad.reason.partition(":")[0]) for bad in result.set_aside] == [("first.mp4", reason), ("second.mp4", reason)]
    assert {used.name for used in result.engines.values()} == {"pytorch"}


@pytest.mark.parametrize("is_gone", [True, False])
def test_without_the_second_network_the_first_goes_on_and_says_so(small, is_gone):
    if is_gone:
        small.shelf.remove(small.against.checkpoint_uri)
    else:
        small.shelf.write_bytes(small.against.checkpoint_uri, b"another file")
    result = small.predict()
    assert (len(result.videos), set(result.engines), len(result.missing)) == (1, {"model"}, 1)
    assert small.against.checkpoint_uri in result.missing[0]
    assert set(small.scored(FIRST).logits) == {"model"}


def test_a_second_network_that_answers_no_numbers_on_one_clip_is_left_out_of_the_whole_batch(job, film, dark):
    job.shelf.write_file(job.cut[SECOND][2].uri, dark)
    job.write_plan(against=overflowing(dark, beside=film))
    result = job.predict()
    assert [video.num_clips for video in result.videos] == [3, 3]
    assert (set(result.engines), result.set_aside) == ({"model"}, ())
    reason = f"clip {job.cut[SECOND][2].uid}: the network's logits are not finite"
    assert [missing.partition(";")[0] for missing in result.missing] == [f"baseline is left out of one batch: {reason}"]
    assert [set(job.scored(video).logits) for video in (FIRST, SECOND)] == [{"model"}, {"model"}]


def test_a_clip_on_which_the_model_answers_no_numbers_is_set_aside(job, film, dark):
    job.shelf.write_file(job.cut[FIRST][1].uri, dark)
    job.write_plan(overflowing(dark, beside=film))
    result = job.predict()
    assert [(video.name, video.num_clips) for video in result.videos] == [("first.mp4", 2), ("second.mp4", 3)]
    assert [bad.name for bad in result.set_aside] == ["first.mp4, 1-2 s"]
    assert "the network's logits are not finite" in result.set_aside[0].reason
    assert (set(result.engines), result.missing) == ({"model", "against"}, ())


def test_a_video_on_which_the_model_answers_no_numbers_at_all_is_set_aside(small):
    small.write_plan(unreadable(), unreadable())
    result = small.predict()
    assert (result.videos, result.missing) == ((), ())
    assert [(bad.name, bad.reason.partition(": ")[0]) for bad in result.set_aside] == [("first.mp4", "none of its clips can be predicted")]


def test_a_changed_model_ends_the_batch(job):
    job.shelf.write_bytes(job.model.checkpoint_uri, b"another file")
    with pytest.raises(BadCheckpoint, match="not the file that was recorded"):
        job.predict()


def test_a_retry_scores_no_video_that_is_kept(job):
    job.shelf.write_bytes(job.cut[FIRST][2].uri, b"no video")
    first = job.predict()
    kept = dict(job.shelf.objects)
    for video in (FIRST, SECOND):
        written = [uri for uri in kept if uri.startswith(f"{PREDICTION}scored/{video}/")]
        assert written[-1] == f"{PREDICTION}scored/{video}/result.json", "the result marks that all is there"
    # As a try that was killed in the second video leaves it.
    job.shelf.remove(f"{PREDICTION}batches/0000/result.json")
    job.shelf.remove(f"{PREDICTION}scored/{SECOND}/result.json")
    for clip in job.cut[FIRST][:2]:
        job.shelf.write_bytes(clip.uri, b"no video")
    again = job.predict()
    assert job.shelf.read(f"{PREDICTION}batches/0000/result.json", PredictBatchResult) == again == job.predict()
    timed = {"scoring_seconds", "peak_memory_bytes"}
    assert again.model_dump(exclude=timed) == first.model_dump(exclude=timed)
    for video in (FIRST, SECOND):
        uri = f"{PREDICTION}scored/{video}/clips.parquet"
        assert job.shelf.objects[uri] == kept[uri]


def test_clips_with_less_motion_than_is_looked_at_are_named(job, ffmpeg, flow_bytes):
    job.put_flow(flow_bytes)
    job.write_plan(FLOW, FLOW)
    short = filmed(ffmpeg, job.folder / "short.mp4", seconds=0.1)
    whole = job.cut[FIRST][:2]
    job.shelf.write_file(whole[1].uri, short)
    job.put_clips(FIRST, (whole[0], whole[1].model_copy(update={"num_frames": 3})))
    job.write_batch(FIRST)
    result = job.predict()
    assert [video.num_clips for video in result.videos] == [2]
    assert [(told.name, told.reason[:31]) for told in result.warnings] == [("first.mp4, 1-2 s", "3 frames make 2 fields of flow,")]


def test_training_clips_that_cannot_be_had_are_left_out_of_what_is_known(job, tmp_path):
    job.shelf.write_bytes(job.trained_on[0].uri, b"no video")
    job.shelf.remove(job.trained_on[2].uri)
    known = job.know()
    assert (known.num_clips, known.reason) == (2, "2 of 4 training clips; 2 could not be read")
    assert from_bytes(job.shelf.read_bytes(known.features_uri), "").shape[0] == 2
    assert list((tmp_path / "cache/frames").iterdir()) == []
    assert job.know().features_uri == known.features_uri


def test_without_any_training_clip_a_prediction_says_nothing_of_novelty(small):
    for clip in small.trained_on:
        small.shelf.remove(clip.uri)
    known = small.know()
    assert known == KnownClipsResult(num_clips=0, features_uri=None, reason="none of 4 clips that model was trained on can be read")
    assert small.predict().set_aside == ()


def test_the_dataset_of_another_network_stands_in_for_the_models_in_nothing(small):
    small.write_plan(knows_training=False)
    known = small.know()
    assert known == KnownClipsResult(num_clips=0, features_uri=None, reason="the store does not have the dataset that model was trained on")


def test_a_prediction_by_an_engine_that_is_gone_is_refused(small):
    small.write_plan(engine="openvino-int8")
    for step in (small.know, small.predict):
        with pytest.raises(BadConfiguration, match="removed: engine=openvino-int8; start anew"):
            step()


@pytest.mark.parametrize(("is_published", "films"), [(True, {"d": "train", "e": "train", "f": "test"}), (False, {"f": "test"})])
def test_films_that_taught_the_backbone_nothing_are_compared_with_training_clips_of_other_films(job, is_published, films):
    job.write_dataset("ddef")
    job.write_plan(is_published=is_published)
    reference = job.know().reference
    assert {film.source: film.split for film in reference} == films
    assert [distance for film in reference for distance in film.distances] == pytest.approx([0] * (4 if is_published else 1), abs=1e-6)
    assert job.know().reference == reference


def test_films_share_the_compared_clips_equally(job, monkeypatch):
    monkeypatch.setattr(predict_known, "MAX_REFERENCE_CLIPS", 3)
    job.write_dataset("ddde")
    job.write_plan(is_published=True)
    assert [(film.source, len(film.distances)) for film in job.know().reference] == [("d", 1), ("e", 1)]
    monkeypatch.setattr(predict_known, "MAX_REFERENCE_SOURCES", 1)
    monkeypatch.setenv("RETAKE_CODE_VERSION", "another")
    assert [(film.source, len(film.distances)) for film in job.know().reference] == [("d", 3)]


def test_films_are_compared_once_for_the_same_dataset_and_network(job, monkeypatch):
    job.write_dataset("ddde")
    job.write_plan(is_published=True)
    reference = job.know().reference
    assert reference
    with monkeypatch.context() as patch:
        patch.setattr(predict_known, "find_cut", None)
        assert job.know().reference == reference


def test_what_is_known_is_kept_by_engine_and_code(job, monkeypatch):
    uris = {job.know().features_uri}
    job.write_plan(engine="auto")
    uris.add(job.know().features_uri)
    monkeypatch.setenv("RETAKE_CODE_VERSION", "another")
    uris.add(job.know().features_uri)
    assert len(uris) == 3
    assert all(job.shelf.exists(uri) for uri in uris)


def test_what_is_known_is_looked_at_again_where_its_file_is_damaged(job):
    uri = job.know().features_uri
    whole = job.shelf.read_bytes(uri)
    job.shelf.write_bytes(uri, b"damaged")
    assert job.know().features_uri == uri
    assert job.shelf.read_bytes(uri) == whole


@pytest.fixture
def seconds(job):
    """Two videos of three clips that were cut to a second."""
    job.segment = SegmentOptions(clip_seconds=1, min_clip_seconds=0.3)
    for video, clips in job.cut.items():
        job.put_clips(video, clips)
    return job


@pytest.mark.parametrize("num_segments", [2, 3], ids=["features are shared", "each window has frames of its own"])
def test_windows_are_answered_as_clips_that_begin_there_and_clips_as_without_windows(seconds, film, num_segments):
    spec = RGB.model_copy(update={"num_segments": num_segments})
    networks = made(spec, 0), made(RGB, 1)
    seconds.write_plan(*networks, stride=0.5)
    assert [(video.num_clips, video.windows_uri) for video in seconds.predict().videos] == WINDOWS
    windows, clips = seconds.scored(FIRST, "windows"), seconds.scored(FIRST)
    assert list(zip(windows.start_seconds, windows.stop_seconds, strict=True)) == [(0, 1), (0.5, 1.5), (1, 2), (1.5, 2.5), (2, 3)]
    assert windows.uids[1] == f"{FIRST[:12]}_000000500-000001500"
    for role, network in zip(("model", "against"), networks, strict=True):
        # Every clip shows the same film, so the frame after its last is its first.
        expected = alone(network, view(film, network.spec, first=15))
        for head in (0, 1):
            np.testing.assert_allclose(windows.logits[role][head][1], expected[head], atol=np.ptp(expected[head]) / 1000)
            np.testing.assert_array_equal(windows.logits[role][head][::2], clips.logits[role][head])
    seconds.shelf.delete([f"{PREDICTION}{place}/result.json" for place in ("batches/0000", f"scored/{FIRST}", f"scored/{SECOND}")])
    seconds.write_plan(*networks)
    assert [video.windows_uri for video in seconds.predict().videos] == [None, None]
    for role in ("model", "against"):
        for head in (0, 1):
            np.testing.assert_array_equal(seconds.scored(FIRST).logits[role][head], clips.logits[role][head])


def test_beside_a_damaged_clip_there_are_no_windows(seconds):
    seconds.shelf.write_bytes(seconds.cut[FIRST][1].uri, b"no video")
    seconds.write_plan(stride=0.5)
    seconds.predict()
    assert seconds.scored(FIRST, "windows").start_seconds.tolist() == [0, 2]


def test_a_rest_at_the_end_has_windows_that_end_within_it(seconds, ffmpeg):
    short = filmed(ffmpeg, seconds.folder / "short.mp4", seconds=0.7)
    clips = seconds.cut[FIRST]
    seconds.shelf.write_file(clips[2].uri, short)
    seconds.put_clips(FIRST, (*clips[:2], clips[2].model_copy(update={"num_frames": 21, "stop_seconds": 2.7})))
    seconds.write_plan(stride=0.1)
    seconds.predict()
    windows = seconds.scored(FIRST, "windows")
    assert windows.start_seconds.tolist() == pytest.approx([*(i / 10 for i in range(18)), 2])
    assert windows.stop_seconds.tolist()[-2:] == pytest.approx([2.7, 2.7])


def test_a_network_whose_input_ends_with_each_clip_has_no_windows_and_is_named(seconds, flow_bytes):
    seconds.put_flow(flow_bytes)
    seconds.write_plan(against=FLOW, stride=0.5)
    reason = "no intervals by baseline: it sees optical flow or described sound, which ends with each clip"
    assert seconds.predict().missing == (reason,)
    assert set(seconds.scored(FIRST, "windows").logits) == {"model"}


def test_of_a_model_on_flow_each_clip_is_a_window_and_no_other(seconds, flow_bytes):
    seconds.put_flow(flow_bytes)
    seconds.write_plan(FLOW, stride=0.5)
    result = seconds.predict()
    assert [missing.partition(":")[0] for missing in result.missing] == ["intervals begin and end with clips, whatever the stride"]
    assert [(video.num_clips, video.windows_uri) for video in result.videos] == WINDOWS
    windows, clips = seconds.scored(FIRST, "windows"), seconds.scored(FIRST)
    assert (windows.uids, windows.uris) == (clips.uids, clips.uris)
    for role in ("model", "against"):
        for on_windows, on_clips in zip(windows.logits[role], clips.logits[role], strict=True):
            np.testing.assert_array_equal(on_windows, on_clips)
