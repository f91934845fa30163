import json

import pytest
from pydantic import ValidationError

from tasks.learn.networks.spec import ClassNames, NetworkSpec, no_names, trained_names
from tasks.options import FlowOptions
from tasks.store.records.dataset import ClassRef, Vocabulary


@pytest.mark.parametrize(
    ("choice", "title"),
    [
        ({}, "TSN resnet50 rgb, 8 segments"),
        ({"consensus": "relation", "num_segments": 4}, "TRN resnet50 rgb, 4 segments"),
        ({"consensus": "multiscale-relation"}, "MTRN resnet50 rgb, 8 segments, all draws of relations"),
        ({"consensus": "multiscale-relation", "relation_draws": 9}, "MTRN resnet50 rgb, 8 segments, 9 draws of relations"),
        ({"temporal_shift": True, "modality": "flow"}, "TSM resnet50 flow (tvl1), 8 segments"),
        ({"sampling_window": 0.5}, "TSN resnet50 rgb, 8 segments, window 0.5"),
        ({"sampling_window": 0.5, "interpolation": "bicubic"}, "TSN resnet50 rgb, 8 segments, window 0.5, bicubic"),
        ({"consensus": "tcn"}, "TSN resnet50 rgb, 8 segments, tcn head"),
        ({"consensus": "tcn", "temporal_shift": True}, "TSM resnet50 rgb, 8 segments, tcn head"),
        ({"temporal_shift": True, "consensus": "relation"}, "TSM with relation resnet50 rgb, 8 segments"),
    ],
)
def test_a_network_is_called_what_the_literature_calls_it(choice, title):
    assert NetworkSpec(backbone="resnet50", **choice).title == title


@pytest.mark.parametrize(("modality", "num_frames"), [("rgb", 3), ("flow", 15), ("rgb-difference", 18)])
def test_a_network_looks_at_the_frames_of_each_segments_snippet(modality, num_frames):
    assert NetworkSpec(backbone="b", num_segments=3, modality=modality).num_frames == num_frames


def test_a_spec_comes_back_as_it_was_stored_and_only_one_that_sees_flow_says_how_its_flow_is_computed():
    dis = FlowOptions(flow_method="dis")
    assert NetworkSpec(backbone="b", modality="flow", flow=dis).flow == dis
    assert NetworkSpec(backbone="b", modality="flow").flow == FlowOptions()
    assert NetworkSpec(backbone="b", flow=dis).flow is None
    spec = NetworkSpec(backbone="b", modality="flow", flow=FlowOptions(flow_method="dis"), sampling_window=0.3, interpolation="bicubic")
    assert NetworkSpec.model_validate(spec.model_dump(mode="json")) == NetworkSpec.model_validate(spec) == spec
    assert NetworkSpec.model_validate({"backbone": "b", "num_segments": 8, "modality": "rgb"}) == NetworkSpec(backbone="b")


def test_a_network_of_the_whole_clip_is_stored_as_before_there_were_windows():
    stored = {
        "backbone": "b", "num_segments": 8, "modality": "rgb", "flow": None, "consensus": "average", "temporal_shift": False,
        "relation_draws": 0, "relation_seed": 0, "num_verbs": 125, "num_nouns": 352,
    }  # fmt: skip
    for spec in (NetworkSpec(backbone="b"), NetworkSpec(backbone="b", sampling_window=1.0), NetworkSpec.model_validate(stored)):
        assert spec.model_dump(mode="json") == json.loads(spec.model_dump_json()) == stored
        assert spec == NetworkSpec(backbone="b")
        assert hash(spec) == hash(NetworkSpec(backbone="b"))


@pytest.mark.parametrize("window", [0, -0.5, 1.01, float("nan"), float("inf")])
def test_a_window_is_a_part_of_the_clip(window):
    with pytest.raises(ValidationError, match="sampling_window"):
        NetworkSpec(backbone="b", sampling_window=window)


SPEC = NetworkSpec(backbone="test_resnet")
WIDER = NetworkSpec(backbone="test_resnet", num_verbs=128, num_nouns=353)
START = no_names(SPEC)
VOCABULARY = Vocabulary(verbs=(ClassRef(id=1, name="put"), ClassRef(id=127, name="knit")), nouns=(ClassRef(id=351, name="sock"),))


def test_a_logit_has_the_name_that_the_start_or_the_vocabulary_has_for_its_class_and_can_be_named_by_it():
    names = trained_names(VOCABULARY, START, WIDER)
    assert (len(names.verbs), len(names.nouns)) == (128, 353)
    assert names.verbs[:3] == ("verb-0", "put", "verb-2")
    assert names.verbs[125:] == ("verb-125", "verb-126", "knit")
    assert names.nouns[350:] == ("noun-350", "sock", "noun-352")
    start = ClassNames(verbs=("take", "lay", *START.verbs[2:]), nouns=START.nouns)
    assert trained_names(VOCABULARY, start, WIDER).verbs[:3] == ("take", "put", "verb-2")
    assert (names.known_verbs, names.known_nouns) == ({1, 127}, {351})
    assert (START.known_verbs, START.known_nouns) == (set(range(125)), set(range(352))), "a start can name whatever it has an output for"
