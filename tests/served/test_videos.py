"""What a registered model makes of a film by itself is what the steps make of it."""

import sys
from base64 import b64encode
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import mlflow
import numpy as np
import pytest
from mlflow.models import Model
from pandas import DataFrame

from tasks.data.clips.flow_and_sound import complete_sound, compute_flow
from tasks.data.video.frames import read_frames
from tasks.errors import BadCheckpoint, BadConfiguration, BadInput, BadVideo
from tasks.keys import file_sha256
from tasks.learn.networks.checkpoints import HeadWeights, Saved, load, save, save_fusion, save_joined
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import CONSENSUS_OF_HEADS, FAMILIES
from tasks.learn.training.job import joint_spec
from tasks.options import Family, Head, Modality, SegmentOptions, TrainOptions
from tasks.pipeline._checkpoints import CHECKPOINT
from tasks.pipeline.retrain import register
from tasks.pipeline.retrain.register import _model, _packages
from tasks.predict.intervals import intervals
from tasks.predict.probabilities import distributions
from tasks.served import SERVERS, Served, _load_pyfunc
from tasks.served.videos import Clip, SentVideoModel, VideoModel
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tests.data.video.conftest import cut_into
from tests.learn.tiny import CLASSES, TINY_VIDEO, network_of, tiny_video_network
from tests.pipeline.predict_videos.test_predict_batch import DIS, FIRST, RUN, SOUND, Job
from tests.pipeline.shelf import Shelf, filmed, predictor
from tests.records import some

SECONDS = SegmentOptions(clip_seconds=1, min_clip_seconds=0.3)
SERVED = some(Served, segment=SECONDS, verb_temperature=0.5, noun_temperature=2, threshold=0, actions=())
FLOW = partial(network_of, modality=Modality.FLOW, flow=DIS)
DIFFERENCE = partial(network_of, modality=Modality.RGB_DIFFERENCE)
HEARS = partial(network_of, **SOUND.model_dump(include={"backbone", "modality"}))
FUSED = (network_of, FLOW, HEARS)
KINDS = {
    "TSN": (network_of,),
    "TRN": (partial(FLOW, Family.TRN),),
    "MTRN": (partial(DIFFERENCE, Family.MTRN),),
    "3D": (partial(network_of, Family.VIDEO, backbone=TINY_VIDEO.name),),
    "TSM, tcn": (partial(network_of, Family.TSM, consensus=CONSENSUS_OF_HEADS[Head.TCN]),),
    "fusion": FUSED,
    "joined": FUSED,
    "verbs alone": (network_of,),
}


@pytest.fixture(autouse=True)
def video_network():
    with tiny_video_network():
        yield


@pytest.fixture(scope="module")
def film(ffmpeg, tmp_path_factory):
    return filmed(ffmpeg, tmp_path_factory.mktemp("film") / "a film.mp4", track="sine=frequency=300")


def saved_as(kind, path):
    networks = tuple(make(seed=seed) for seed, make in enumerate(KINDS[kind], 1))
    classes = CLASSES
    if kind == "verbs alone":
        classes = CLASSES.model_copy(update={"nouns": (NO_OBJECT, *CLASSES.nouns[1:]), "has_objects": False})
    if kind == "joined":
        options = TrainOptions(head=Head.TCN, trainable="heads", fuse=["a", "b", "c"], join="features")
        save_joined(path, networks, Network(joint_spec(networks, options, num_verbs=5, num_nouns=4)), classes)
    elif len(networks) > 1:
        save_fusion(path, networks, (HeadWeights(0.2, 0.5), HeadWeights(0.3, 0.1), HeadWeights(0.5, 0.4)), classes)
    else:
        save(path, *networks, classes)
    return load(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # MLflow's own, at its import and of an input example
@pytest.mark.parametrize("kind", KINDS)
def test_a_registered_model_of_each_kind_answers_a_clip_as_a_prediction_does(kind, film, tmp_path, monkeypatch):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RETAKE_DEVICE", "cpu")
    monkeypatch.setenv("RETAKE_NUM_PROCESSES", "1")
    monkeypatch.setattr(sys, "path", sys.path[:])  # MLflow puts the model's code before ours
    saved, uri = saved_as(kind, tmp_path / CHECKPOINT), f"{RUN}best.pt"
    job = Job(Shelf(film.read_bytes()), tmp_path)
    job.shelf.write_file(uri, tmp_path / CHECKPOINT)
    named = predictor("model", uri, file_sha256(tmp_path / CHECKPOINT))
    job.predictor = lambda *_: named
    job.put_clips(FIRST, job.cut[FIRST][:1])
    job.write_batch(FIRST)
    job.write_plan(against=None)
    compute_flow(job.shelf, job.cut[FIRST][:1], DIS)
    complete_sound(job.shelf, job.cut[FIRST][:1])
    job.predict()
    likely = distributions(*job.scored(FIRST).logits["model"], SERVED.verb_temperature, SERVED.noun_temperature)
    (likeliest,) = intervals(np.array([0.0]), np.array([1.0]), likely)
    known = [pair for pair in ((0, 0), (1, 1), (2, 1)) if pair != (likeliest.verb_class, likeliest.noun_class)]
    (expected,) = intervals(np.array([0.0]), np.array([1.0]), replace(likely, pairs=np.array(known)))

    served = SERVED.model_copy(update={"actions": tuple(known)})
    monkeypatch.setattr(register, "_tensors", lambda _: None)
    _model(saved, tmp_path, served).save_model(str(tmp_path / "registered"), registered := Model(), _packages(saved))
    assert registered.signature is None, "MLServer loads no model whose signature has no inputs"
    (row,) = mlflow.pyfunc.load_model(str(tmp_path / "registered")).predict([str(film)]).to_dict("records")
    assert row == {
        "video": str(film),
        "start": 0,
        "stop": 1,
        "verb": saved.classes.verbs[expected.verb_class],
        "noun": saved.classes.nouns[expected.noun_class],
        "probability": pytest.approx(expected.probability, abs=1e-5),
        "reported": True,
    }


def test_every_family_input_and_head_is_among_the_kinds():
    specs = [make().spec for kind in KINDS.values() for make in kind]
    assert {spec.family for spec in specs} == set(Family)
    assert {spec.modality for spec in specs} == set(Modality)
    assert {spec.consensus for spec in specs} == {*CONSENSUS_OF_HEADS.values(), *(consensus for consensus, _ in FAMILIES.values())}


def of_frames(served=SERVED, classes=CLASSES):
    """A model of two networks, on frames and on flow."""
    networks = tuple(make(seed=seed) for seed, make in enumerate((network_of, FLOW)))
    return VideoModel(Saved(networks, (HeadWeights(1, 1),) * 2, classes), served)


@pytest.mark.slow
def test_a_film_is_cut_as_predictions_cut_it_and_equal_answers_in_a_row_are_one_interval(ffmpeg, tmp_path):
    path, model = filmed(ffmpeg, tmp_path / "film.mp4", seconds=3.2, picture="testsrc2=s=320x240:r=25"), of_frames()
    clips = cut_into(tmp_path, path, SECONDS).clips
    starts, stops = ([getattr(clip, end) for clip in clips] for end in ("start_seconds", "stop_seconds"))
    answers = [model.logits(Clip(clip.path, 0, 1, clip.num_frames), tmp_path) for clip in clips]
    verbs, nouns = map(np.stack, zip(*answers, strict=True))
    predicted = intervals(np.array(starts), np.array(stops), distributions(verbs, nouns, 0.5, 2))
    answer = model.predict(str(path))
    assert list(answer.columns) == ["video", "start", "stop", "verb", "noun", "probability", "reported"]
    assert stops == [1, 2, 3]
    assert [(row.start, row.stop, row.probability) for row in answer.itertuples()] == [
        (interval.start_seconds, interval.stop_seconds, interval.probability) for interval in predicted
    ]


@pytest.mark.slow
def test_paths_folders_bytes_tables_and_frames_are_answered_alike(film, tmp_path):
    model = of_frames()
    frames = read_frames(film, range(30), short_side=None)
    (tmp_path / ".hidden.mp4").symlink_to(film)
    (tmp_path / "labels.csv").write_text("a,b")
    (tmp_path / "film.mp4").symlink_to(film)
    inputs = [[str(film)], str(tmp_path), film.read_bytes(), frames, DataFrame({"film": [film]})]
    answers = [model.predict(given).drop(columns="video").to_dict("records") for given in inputs]
    assert len(answers[0]) == 1
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "verb", "reported"),
    [({}, "a", True), ({"threshold": 1.0}, "a", False), ({"reports": False}, "a", False), ({}, NOTHING, False)],
)
def test_intervals_that_a_prediction_would_not_list_are_marked(film, changes, verb, reported):
    model = of_frames(SERVED.model_copy(update=changes), CLASSES.model_copy(update={"verbs": (verb,) * 5}))
    (row,) = model.predict([film]).to_dict("records")
    assert (row["verb"], row["reported"]) == (verb, reported)


@pytest.mark.slow
def test_films_that_cannot_be_read_are_named(shared, tmp_path, film, caplog):
    model, empty = of_frames(), str(shared / "videos" / "odd" / "zero_byte.mp4")
    with pytest.raises(BadInput, match=r"nowhere\.mp4: no such file"):
        model.predict(["/nowhere.mp4"])
    with pytest.raises(BadVideo, match=r"zero_byte\.mp4: the file is empty"):
        model.predict(empty)
    with pytest.raises(BadInput, match="there is no video to predict"):
        model.predict(str(tmp_path))
    with pytest.raises(BadInput, match=r"not float64 \(2, 8, 8, 3\)"):
        model.predict(np.zeros((2, 8, 8, 3)))
    assert len(model.predict(DataFrame({"film": [empty, None, film]}))) == 1
    assert "left out" in caplog.text
    with pytest.raises(BadInput, match="frames have no sound"):
        VideoModel(Saved((HEARS(),), (HeadWeights(1, 1),), CLASSES), SERVED).predict(np.zeros((2, 8, 8, 3), np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize("server", SERVERS)
def test_a_server_answers_bytes_and_base64_and_reads_no_file_that_a_request_names(server, film, tmp_path, monkeypatch):
    module, name = SERVERS[server]
    monkeypatch.setattr(register, "_tensors", lambda _: None)
    folder = str(_model(saved_as("TSN", tmp_path / CHECKPOINT), tmp_path, SERVED).folder)
    (row,) = _load_pyfunc(folder).predict([film]).to_dict("records")
    refusal = type("Refusal", (Exception,), {"invalid_parameter_value": classmethod(lambda cls, message: cls(message))})
    monkeypatch.setitem(sys.modules, server, SimpleNamespace())
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**{name.partition(".")[0]: refusal}))
    model = _load_pyfunc(folder)
    content = film.read_bytes()
    text = b64encode(content).decode()
    for sent in ([content], [text], DataFrame({"film": [text]}), {"film": np.array([text])}, np.array([text]), text):
        answer = model.predict(sent)
        assert answer.to_dict("records") == [row | {"video": "input 0"}]
        assert {*answer.dtypes[["video", "verb", "noun"]]} == {np.dtype(object)}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film").symlink_to(film)  # its name is base64, too
    with pytest.raises(refusal, match="damaged, or not a video"):
        model.predict(["film"])
    frames, lines = np.zeros((2, 8, 8, 3), np.uint8), f"{text[:76]}\n{text[76:]}"
    for sent in ([str(film)], [film], str(tmp_path), DataFrame({"film": [text, str(film)]}), frames, np.array(3), lines):
        with pytest.raises(refusal, match="a path is not read here"):
            model.predict(sent)
    with pytest.raises(refusal, match="there is no video"):
        model.predict(DataFrame())


def test_a_broken_model_is_not_the_fault_of_the_request(monkeypatch):
    def predict(*_):
        raise BadCheckpoint("the logits are not finite")

    model = SentVideoModel(Saved((network_of(),), (HeadWeights(1, 1),), CLASSES), SERVED, ValueError)
    monkeypatch.setattr(VideoModel, "predict", predict)
    with pytest.raises(BadCheckpoint):
        model.predict([b"a film"])


@pytest.mark.parametrize(
    ("kind", "module", "package"),
    [("TRN", "cv2", "opencv-contrib-python-headless"), ("TSN", "av", "av"), ("TSN", "ffmpeg", "ffmpeg-python")],
)
def test_a_package_that_is_missing_is_named(kind, module, package, tmp_path, monkeypatch):
    monkeypatch.setattr(register, "_tensors", lambda _: None)
    model = _model(saved_as(kind, tmp_path / CHECKPOINT), tmp_path, SERVED)
    for name in [name for name in sys.modules if name.startswith(("tasks.data.video.", "tasks.served.videos"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(BadConfiguration, match=f"this model needs the package {package}, .*: pip install {package}"):
        _load_pyfunc(str(model.folder))


def test_a_missing_file_of_the_model_itself_is_no_package_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tasks.served.videos", None)
    with pytest.raises(ModuleNotFoundError, match=r"tasks\.served\.videos"):
        _load_pyfunc(str(tmp_path))
