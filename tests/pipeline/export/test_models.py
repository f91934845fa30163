"""Models are written and described, and int8 is delivered where val shows its margin."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import openvino
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadConfiguration
from tasks.judge.statistics.paired import paired_change
from tasks.judge.statistics.scoring import ScoredClips
from tasks.learn.engines.model_files import Quantised, answerer, describe
from tasks.learn.engines.openvino import openvino_core
from tasks.learn.inputs.snippets import joined
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import ExportOptions, Modality, Weights
from tasks.pipeline.export import _models
from tasks.pipeline.export._models import apart, refusal_of_int8, right_of, scores_of
from tasks.pipeline.export._package import licence_of
from tasks.store.layout import Layout
from tasks.store.records.training import Member
from tests.pipeline.shelf import Shelf, dataset_clip, plan_result, weights_result, words
from tests.records import some

NUM_CLIPS = 200
VOCABULARY = words({0: "take", 1: "put"}, {0: "bag", 1: "meat"})


@given(num_snippets=st.integers(1, 3), modality=st.sampled_from((Modality.RGB, Modality.RGB_DIFFERENCE)))
def test_snippets_are_taken_apart_into_the_frames_that_they_were_joined_of(num_snippets, modality):
    spec = NetworkSpec(backbone="test_resnet", num_segments=num_snippets, modality=modality)
    frames = np.random.default_rng(0).integers(0, 256, (num_snippets * spec.snippet.num_frames, 4, 5, 3), dtype=np.uint8)
    assert np.array_equal(apart(joined(frames, spec), spec), frames)


def scored(num_right, num_clips=NUM_CLIPS):
    """Make answers, the first `num_right` of them right, each of its own film."""
    true, said = np.ones(num_clips, np.int64), (np.arange(num_clips) < num_right).astype(np.int64)
    logits, nouns = np.eye(2, dtype=np.float32)[said], np.eye(2, dtype=np.float32)[true]
    names = tuple(map(str, range(num_clips)))
    return ScoredClips(names, names, true, true, logits, nouns)


@pytest.mark.parametrize(
    ("num_lost", "num_clips", "margin", "told"),
    [
        (0, 200, 2, None),
        (0, 30, 2, "it would take about 184 val clips of such videos"),
        (1, 200, 2, "of 200 source videos its top-1 differs by \N{MINUS SIGN}0.5 points, 95 % CI [\N{MINUS SIGN}2"),
        (10, 200, 2, "more clips would not change that; raise max_drop_points"),
        (10, 200, 15, None),
    ],
)
def test_int8_is_refused_where_val_does_not_show_that_it_is_within_the_margin(num_lost, num_clips, margin, told):
    ours, theirs = np.arange(num_clips) >= num_lost, np.ones(num_clips, bool)
    refusal = refusal_of_int8(paired_change(ours, theirs, list(map(str, range(num_clips)))), num_clips, margin, "fp16")
    assert bool(refusal) == bool(told)
    if told:
        assert refusal.startswith("int8 is refused, and fp16 is delivered")
        assert told in refusal


class Answering:
    """Clips of 40 training films and of val, and what each model answers to val."""

    vocabulary = VOCABULARY

    def __init__(self, **num_right):
        self.num_right, self.loaded = num_right, []

    def of_split(self, split):
        return [dataset_clip(f"{split}{number}", split) for number in range(40)]

    def inputs(self, clips, graph):
        self.loaded.append([clip.uid for clip in clips])
        return self.loaded[-1]

    def by_model(self, path, graph):
        return path.parent.name

    def answers(self, precision, by):
        return {"val": scored(self.num_right[precision])}


@pytest.fixture
def written(monkeypatch, tmp_path):
    """Write models that are only their names, and return what is delivered."""
    quantised = []
    monkeypatch.setattr(_models, "quantise", lambda path, *given: quantised.append((path, *given)) or Quantised((), (), 1, 0, 1))
    for name in ("onnx", "openvino"):
        file, _ = _models.WRITERS[name]
        monkeypatch.setitem(_models.WRITERS, name, (file, lambda graph, path, precision: path.write_text(precision)))

    def write(clips, reference=NUM_CLIPS, **options):
        return _models.write(None, ExportOptions(**options), clips, {"val": scored(reference)}, tmp_path), quantised

    return write


def test_int8_is_calibrated_on_training_clips_alone_and_delivered_where_val_shows_it_is_as_good(written):
    clips = Answering(fp32=NUM_CLIPS, int8=NUM_CLIPS)
    delivered, ((path, calibrating, validating, _, max_drop),) = written(clips, format="openvino", precision="int8")
    assert (delivered.precision, delivered.path, delivered.refused, max_drop) == ("int8", path, "", 0.02)
    assert not set(calibrating) & set(validating)
    assert {uid[:5] for uid in (*calibrating, *validating)} == {"train"}


@pytest.mark.parametrize(("model_format", "best"), [("onnx", "fp32"), ("openvino", "fp16")])
def test_where_int8_is_refused_the_best_floating_precision_is_delivered_with_the_reason(written, model_format, best):
    clips = Answering(fp32=NUM_CLIPS, fp16=NUM_CLIPS, int8=NUM_CLIPS - 20)
    delivered, _ = written(clips, format=model_format, precision="int8")
    assert (delivered.precision, delivered.path.read_text()) == (best, best)
    assert delivered.refused.startswith(f"int8 is refused, and {best} is delivered")


def test_onnx_in_fp16_is_refused_before_any_work():
    with pytest.raises(ValueError, match="precision fp16: an ONNX file is of fp32 or int8"):
        ExportOptions(format="onnx", precision="fp16")


def test_a_model_that_answers_otherwise_than_pytorch_is_not_delivered(written):
    with pytest.raises(
        BadConfiguration, match=r"ONNX in fp32 answers otherwise than PyTorch: a logit differs by 1, and 0\.0025 is allowed"
    ):
        written(Answering(fp32=NUM_CLIPS - 1))


def test_a_clip_in_which_nothing_happens_counts_in_no_score_of_a_package():
    idle = words({0: "take", 1: "put", 2: "nothing"}, {0: "bag", 1: "meat"})
    clips = scored(3, 5)
    clips = replace(clips, verb_classes=np.array([1, 1, 2, 1, 1]))
    assert {score.num_clips for score in scores_of(clips, "val", idle)} == {4}


def test_an_answer_is_right_with_its_verb_and_with_its_noun_if_it_has_nouns():
    clip = dataset_clip("c", "train", verb_class=1, noun_class=0)
    verb, noun = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    assert right_of([{"verb_logits": verb}], [clip]) == [True]
    assert right_of([{"verb_logits": verb, "noun_logits": noun}], [clip]) == [False]


@pytest.mark.parametrize(("begun_with", "licence"), [(Weights.IMAGENET, "apache-2.0"), (Weights.FILE, ""), (None, "")])
def test_the_licence_of_weights_is_that_of_the_first_training(begun_with, licence):
    shelf, (first, second, fused) = Shelf(), map(Layout("s3://retake").run, ("0" * 16, "1" * 16, "2" * 16))
    weights = {
        second: weights_result(weights=Weights.TRAINED, uri=first.train.best),
        fused: weights_result(members=tuple(some(Member, checkpoint_uri=run.train.best) for run in (first, second))),
    }
    if begun_with:
        weights[first] = weights_result(weights=begun_with)
    plans = {run: plan_result(weights=own, run_uri=run.folder_uri, run_key=run.key) for run, own in weights.items()}
    for run, plan in plans.items():
        shelf.write(run.decision("d").plan, plan)
    saved = SimpleNamespace(networks=[SimpleNamespace(spec=NetworkSpec(backbone="tf_efficientnet_lite0", num_segments=2))])
    assert {licence_of(plan, saved, shelf) for plan in plans.values()} == {licence}


@pytest.mark.parametrize("name", ["model.onnx", "model.xml"])
def test_a_written_model_says_what_its_contract_says(tmp_path, name):
    source, path = tmp_path / "source.onnx", tmp_path / name
    ports = [onnx.helper.make_tensor_value_info(port, onnx.TensorProto.FLOAT, [1]) for port in ("frames", "logits")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["frames"], ["logits"])], "graph", ports[:1], ports[1:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), source)
    model = openvino_core().read_model(source)
    if path.suffix == ".xml":
        openvino.save_model(model, path)
    else:
        source.rename(path)
    describe(path, {"model_info labels": "put take"})
    if path.suffix == ".xml":
        assert openvino_core().read_model(path).get_rt_info(["model_info", "labels"]).value == "put take"
    else:
        assert [(own.key, own.value) for own in onnx.load(path).metadata_props] == [("model_info labels", "put take")]
    assert answerer(path)([{"frames": np.float32(1)}]) == [{"logits": -1}]
