import io
import os
import threading
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.data.clips import frame_cache
from tasks.errors import BadCheckpoint, BadConfiguration, Unavailable
from tasks.judge.statistics.data_checks import fingerprint, from_parquet
from tasks.learn.engines import openvino
from tasks.learn.engines.choice import OPENVINO_FROM_CLIPS
from tasks.learn.engines.scorer import make_scorer
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.heads import HEADS
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames
from tasks.options import Head, Modality
from tasks.pipeline import _scoring
from tasks.pipeline.retrain import evaluate
from tasks.store.records.dataset import NO_OBJECT, Manifest
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.training import Champion, PlanResult
from tests.pipeline.retrain.evaluating import CHECKPOINT, MANIFEST, NUM_TRAIN, NUM_VAL, SPEC, clip, relabel
from tests.pipeline.shelf import RUN, manifest_of, put_trained, train_result

pytestmark = pytest.mark.slow


def test_each_result_says_what_scored_on_which_machine_and_where_the_network_looked(score, shelf, monkeypatch):
    monkeypatch.setattr(evaluate, "NUM_ACTIVATION_MAPS", 2)
    results, run = score("fine-tuned")
    for split, num_clips in (("train", NUM_TRAIN), ("val", NUM_VAL)):
        out, result = f"{RUN}fine-tuned/{split}/", results[split]
        assert shelf.read(f"{out}result.json", EvaluateResult) == result
        assert [uri for uri in shelf.objects if uri.startswith(out)][-1] == f"{out}result.json", "the result marks that all is there"
        assert (result.num_clips, result.latency.num_clips) == (num_clips, num_clips)
        assert (result.engine.name, result.engine.num_checked_clips, result.engine.fallback_reason) == ("openvino", 3, None)
        assert result.hardware["device"] == "cpu"
        assert "version.torch" in result.hardware
        for name, least in {"num_parameters": 1e5, "num_flops": 1e7, "peak_memory_bytes": 2**26, "loss": 0}.items():
            assert run.data.metrics[f"fine-tuned/{split}/{name}"] == getattr(result, name) > least
        assert run.data.metrics[f"fine-tuned/{split}/clips_per_second"] == result.latency.clips_per_second > 0
    assert results["train"].peak_memory_bytes == results["val"].peak_memory_bytes
    assert results["train"].activations == (), "looked into only where promotion is decided"
    assert len(results["val"].activations) == 2
    for seen in results["val"].activations:
        assert seen.uri == f"{RUN}fine-tuned/val/activations/{seen.uid}-{seen.target}.png"
        assert Image.open(io.BytesIO(shelf.objects[seen.uri])).width == 2 * 160 + 4
        assert f"fine-tuned/val/activations/{seen.uid}-{seen.target}.png" in run.artifacts
    assert list(shelf.objects)[-1] == f"{RUN}decisions/d/evaluate/result.json"


def test_frames_are_decoded_while_the_network_is_made_ready(score, shelf, monkeypatch):
    decode, make_ready, is_decoding = frame_cache.cache_test_frames, evaluate.make_ready, threading.Event()

    def decoded(*arguments):
        is_decoding.set()
        return decode(*arguments)

    def made_ready(*arguments, **options):
        assert is_decoding.wait(60)
        return make_ready(*arguments, **options)

    monkeypatch.setattr(frame_cache, "cache_test_frames", decoded)
    monkeypatch.setattr(evaluate, "make_ready", made_ready)
    shelf.plan(engine="pytorch", crops=1)
    score("baseline")


@pytest.fixture
def few_clips(shelf, tmp_path, monkeypatch):
    """Plans a training of heads alone on the few clips."""
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))

    def make(engine="pytorch", splits=("train", "val"), **choice):
        shelf.plan(train={"trainable": "heads", "epochs": 2, **choice}, splits=splits, engine=engine, crops=1)

    return make


def test_labels_that_were_swapped_are_doubted_by_the_features_of_a_frozen_backbone(score, shelf, few_clips):
    """Bright clips show `take`, but for the last two of val, which are labelled the other way round."""
    few_clips()
    shelf.bright = {0, 3, NUM_VAL - 1, NUM_VAL + 1}
    takes = shelf.bright ^ {NUM_VAL - 1, NUM_VAL - 2}
    clips = relabel(shelf, {"verb": "take", "verb_class": 0}, takes, {0: "take", 1: "put"})
    results, _ = score("fine-tuned")
    audit = results["val"].audit
    assert (audit.num_clips, audit.num_judged, audit.reason) == (NUM_TRAIN + NUM_VAL, NUM_TRAIN + NUM_VAL, "")
    mislabelled = {clips[NUM_VAL - 1].uid: ("put", "take"), clips[NUM_VAL - 2].uid: ("take", "put")}
    assert {label.uid: (label.verb, label.likely_verb) for label in audit.doubtful} == mislabelled
    assert results["train"].audit is None, "the labels of all clips are judged once"


def test_the_deciding_clips_are_scored_last_so_that_the_labels_of_all_splits_are_judged(score, shelf, few_clips, scorings):
    few_clips(splits=("train", "val", "test"))
    clips = shelf.read(MANIFEST, Manifest).clips
    shelf.write(MANIFEST, manifest_of([clips[0].model_copy(update={"split": "test"}), *clips[1:]]))
    audit = score("fine-tuned")[0]["val"].audit
    assert scorings == ["train", "test", "val"]
    assert (audit.num_judged, audit.num_without_features, audit.reason) == (NUM_TRAIN + NUM_VAL, 0, "")


@pytest.mark.parametrize(("lacking", "num_apart", "reason"), [("val", 1, ""), ("train", 0, "no features of 1 training clip")])
def test_labels_are_judged_with_the_features_of_all_training_clips_or_not_at_all(shelf, few_clips, lacking, num_apart, reason):
    few_clips()
    clips = shelf.read(MANIFEST, Manifest).clips
    gone = next(clip.sha256 for clip in clips if clip.split == lacking)
    shared = Mock(mean=lambda sha256: None if sha256 == gone else np.full(4, int(sha256, 16) % 7, float))
    audit = evaluate._audited(shelf.read(f"{RUN}decisions/d/plan/result.json", PlanResult), clips, shared)
    assert (audit.num_clips, audit.num_without_features) == (len(clips), num_apart)
    assert reason in audit.reason and bool(audit.reason) == bool(reason)


def sharp(bias=0.0):
    """A network whose logits are large, and so their differences between engines."""
    network = Network(SPEC, seed=1)
    with torch.no_grad():
        network.head.fc_verb.weight.mul_(1000).add_(bias)
        # Of both heads, because the difference is that of the head closer to its limit.
        network.head.fc_noun.weight.mul_(1000)
    return network


def test_networks_of_one_frozen_backbone_share_engine_and_times_but_each_is_checked(score, shelf, few_clips, monkeypatch, tmp_path):
    """Nothing is converted for the second network; its logits are those that it has alone."""
    convert = Mock(side_effect=openvino._convert)
    monkeypatch.setattr(openvino, "_convert", convert)
    monkeypatch.setattr(_scoring, "make_scorer", make_scorer)
    few_clips("openvino")
    put_trained(shelf, sharp())
    results, _ = score()
    ours, theirs = results["fine-tuned", "val"], results["baseline", "val"]
    assert (theirs.engine.name, ours.engine.name, theirs.engine.num_checked_clips, convert.call_count) == ("openvino", "openvino", 3, 1)
    assert (ours.latency, ours.peak_memory_bytes) == (theirs.latency, theirs.peak_memory_bytes)
    assert ours.engine.max_difference > theirs.engine.max_difference
    predicted = shelf.objects[ours.predictions_uri]
    assert predicted != shelf.objects[theirs.predictions_uri]
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "empty"))
    for split in ("train", "val"):
        shelf.remove(f"{RUN}fine-tuned/{split}/result.json")
    alone = score("fine-tuned")[0]["val"]
    assert convert.call_count == 2
    assert shelf.objects[alone.predictions_uri] == predicted
    assert alone.engine == ours.engine
    # An engine that has to time itself again may fail like any other.
    for times in (tmp_path / "empty").rglob("*times.json*"):
        os.utime(times, (0, 0))
    convert.side_effect = RuntimeError("not converted")
    shelf.remove(f"{RUN}fine-tuned/val/result.json")
    assert score("fine-tuned")[0]["val"].engine.label == "pytorch float32"


def test_a_network_that_fails_the_check_of_its_frozen_backbone_is_scored_by_another_engine(score, shelf, few_clips):
    few_clips("openvino")
    put_trained(shelf, sharp(bias=1e4))
    results, _ = score()
    assert [results[model, "val"].engine.name for model in ("baseline", "fine-tuned")] == ["openvino", "pytorch"]


@pytest.mark.parametrize(
    ("choice", "reason"),
    [({"head": Head.PROBE}, ""), ({"trainable": "all"}, "a single frozen backbone")],
    ids=["a probe", "the whole network"],
)
def test_labels_are_judged_where_the_backbone_was_frozen(score, few_clips, choice, reason):
    few_clips(**choice)
    audit = score("fine-tuned")[0]["val"].audit
    assert reason in audit.reason and bool(audit.reason) == bool(reason)


def test_the_new_network_leaves_a_fingerprint_of_every_clip_of_a_split_and_no_other_network_does(score, shelf, tmp_path):
    result = score("fine-tuned")[0]["train"]
    assert result.fingerprints_uri == f"{RUN}fine-tuned/train/fingerprints.parquet"
    fingerprints = from_parquet(shelf.objects[result.fingerprints_uri], result.fingerprints_uri)
    assert list(fingerprints) == [clip(i, "train").uid for i in range(NUM_VAL, NUM_VAL + NUM_TRAIN)]
    for uid, hashes in fingerprints.items():
        assert hashes.tolist() == fingerprint(np.load(tmp_path / f"{uid}-8.npy")).tolist()
    assert [result.fingerprints_uri for result in score("baseline")[0].values()] == [None, None]


def test_a_retry_scores_what_has_no_result_and_nothing_twice(score, shelf, scorings):
    scorings.killed_at = 2
    with pytest.raises(Unavailable, match="the baseline: killed"):
        score("baseline")
    before = shelf.objects[f"{RUN}baseline/train/result.json"]
    results, _ = score("baseline")
    assert scorings == ["train", "val", "val"]
    assert shelf.objects[f"{RUN}baseline/train/result.json"] == before
    assert results["train"].engine == results["val"].engine, "it is chosen and checked as it was at the first try"
    assert score("baseline")[0] == results
    assert len(scorings) == 3, "nothing was left to do"


def test_earlier_versions_get_the_engine_of_the_others_though_they_are_scored_on_fewer_clips(score, shelf, caplog):
    earlier = Champion(version=1, checkpoint_uri=CHECKPOINT, checkpoint_sha256=shelf.sha256)
    caplog.set_level("INFO")
    shelf.plan(earlier, earlier, crops=1)
    results, _ = score()
    assert {result.engine.name for result in results.values()} == {"openvino"}
    assert results["champion", "val"].num_clips < OPENVINO_FROM_CLIPS
    scored = [line for line in caplog.messages if line.startswith("scoring ")]
    assert scored == [f"scoring the {network}" for network in ("baseline", "new network", "champion", "previous version")]
    assert f"{NUM_VAL}/{NUM_VAL} clips scored with the champion, 0 s left" in caplog.messages


def test_a_network_that_cannot_be_scored_is_named_and_what_was_scored_before_it_stays(score, shelf, scorings):
    shelf.write(f"{RUN}train/result.json", train_result(CHECKPOINT, "0" * 64))
    with pytest.raises(BadCheckpoint, match=r"^the new network: s3://.* is not the file that was recorded"):
        score()
    assert scorings == ["train", "val"]
    assert not shelf.exists(f"{RUN}decisions/d/evaluate/result.json")
    shelf.write(f"{RUN}train/result.json", train_result(CHECKPOINT, shelf.sha256))
    score()
    assert scorings == ["train", "val"] * 2


def test_a_baseline_is_not_looked_into(score, shelf, monkeypatch):
    monkeypatch.setattr(evaluate, "NUM_ACTIVATION_MAPS", 2)
    shelf.plan(engine="pytorch", crops=1)
    assert score("baseline")[0]["val"].activations == ()


def test_an_evaluation_by_an_engine_that_is_gone_is_refused_before_anything_is_scored(score, shelf, scorings):
    shelf.plan(engine="openvino-int8")
    with pytest.raises(BadConfiguration, match="removed: engine=openvino-int8; start anew"):
        score()
    assert scorings == []


def test_frames_a_second_are_all_that_the_network_looks_at(score, shelf, monkeypatch):
    network = Network(SPEC.model_copy(update={"modality": Modality.RGB_DIFFERENCE}))
    saved = Saved((network,), (HeadWeights(1, 1),), ClassNames(verbs=("v",) * 125, nouns=("n",) * 352))
    monkeypatch.setattr(evaluate, "fetch_network", lambda *_: saved)
    latency = score("baseline")[0]["train"].latency
    assert latency.fps * (latency.loading_median_seconds + latency.inference_median_seconds) == pytest.approx(2 * 6)


class Flat(torch.nn.Module):
    """A backbone that looks at colours alone, and nowhere."""

    def forward(self, images):
        return images.flatten(2).mean(2).repeat(1, 256)


def test_a_network_that_cannot_be_looked_into_keeps_its_scores(score, shelf, monkeypatch, caplog):
    fetch = evaluate.fetch_network

    def fetch_flat(*arguments):
        fetched = fetch(*arguments)
        fetched.network.backbone = Flat()
        fetched.network.head = HEADS[SPEC.consensus](3 * 256, SPEC)
        return fetched

    monkeypatch.setattr(evaluate, "fetch_network", fetch_flat)
    monkeypatch.setattr(evaluate, "NUM_ACTIVATION_MAPS", 2)
    shelf.plan(engine="pytorch", crops=1)
    results, run = score("fine-tuned")
    result = results["val"]
    assert (result.num_clips, result.activations) == (NUM_VAL, ())
    assert not [file for file in run.artifacts if "activations" in file]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 2
    assert all("no map of where the network looked: no module of this backbone" in line for line in warnings)


def test_a_network_that_was_taught_verbs_alone_answers_no_object_where_others_have_one(score, shelf):
    relabel(shelf, {"noun": NO_OBJECT, "noun_class": 352}, [0], nouns={26: "meat", 352: NO_OBJECT})
    # As one that began from a network of nouns, whose names it keeps.
    nouns = (*(f"noun-{i}" for i in range(26)), "meat", *(f"noun-{i}" for i in range(27, 352)), NO_OBJECT)
    taught = ClassNames(verbs=tuple(map(str, range(125))), nouns=nouns, has_objects=False)
    put_trained(shelf, Network(SPEC.model_copy(update={"num_nouns": 353}), seed=1), taught)
    shelf.plan(engine="pytorch", crops=1)
    results, _ = score("fine-tuned")
    result = results["val"]
    assert [ref.name for ref in result.unknown_nouns] == ["meat"]
    assert result.noun.top1 == 1 / NUM_VAL
    assert result.loss < 30


def test_a_network_without_an_output_for_any_clip_has_neither_a_loss_nor_a_picture_of_it(score, shelf):
    relabel(shelf, {"verb": "knit", "verb_class": 130}, verbs={130: "knit"})
    shelf.plan(engine="pytorch", crops=1)
    results, run = score("fine-tuned")
    result = results["train"]
    assert result.loss is None
    assert "fine-tuned/train/loss" not in run.data.metrics
    assert "fine-tuned/train/loss_per_clip.png" not in run.artifacts
    assert "fine-tuned/train/confusion_verbs.png" in run.artifacts
