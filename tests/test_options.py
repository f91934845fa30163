import re
from contextlib import nullcontext

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.options import LIGHT, ORIGINAL, STORE_URI_PATTERN, PredictOptions, SearchOptions, StoreUri, TrainOptions, choose_recipe
from tasks.options.base import STORED, StoreRoot
from tasks.options.retrain import EvaluateOptions, GateOptions
from tasks.settings import LabellingSettings, RunnerSettings, SourceSettings


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"epochs": 3, "validate_every": 4}, "validate_every 4 is more than 3 epochs"),
        ({"epochs": 3, "warmup_epochs": 3}, "a warm-up of 3 epochs leaves none of 3"),
        ({"epochs": 1001}, "more than 1000 epochs are for trainable=heads"),
        (
            {"backbone": "resnet50", "backbone_weights": "a.pth", "weights": "imagenet"},
            "names a file, and weights is imagenet; choose weights file",
        ),
        ({"backbone": "resnet50", "backbone_weights": "a.pth", "checkpoint": "runs/x/"}, "leave one of them out"),
        ({"backbone_weights": "a.pth"}, "name the backbone that the file was made for"),
        ({"family": "TRN", "head": "tcn"}, "TRN relates segments by a head of its own; choose family TSN or TSM for head tcn"),
        ({"head": "probe"}, "set trainable to heads, or choose head linear"),
        ({"family": "MTRN", "head": "tcn"}, "MTRN relates segments by a head of its own"),
        ({"weights": "file"}, "weights=file needs backbone_weights"),
        ({"modality": "sound"}, "trainable is all; set trainable=heads"),
        ({"modality": "sound", "trainable": "heads", "backbone": "resnet50"}, "set backbone to auto or log-mel"),
        ({"modality": "sound", "trainable": "heads", "family": "TSM"}, "choose family=TSN"),
        ({"modality": "sound", "trainable": "heads", "weights": "imagenet"}, "set weights=auto"),
        ({"modality": "flow", "backbone": "log-mel"}, "modality is flow; choose modality=sound"),
        ({"join": "features", "trainable": "heads"}, "fuse is empty; name two or more, or set join=logits"),
        ({"join": "features", "fuse": ["runs/a/"]}, "trainable is all; set trainable=heads"),
        ({"family": "3D", "backbone": "resnet50"}, "backbone resnet50 sees single pictures; choose backbone auto, r3d_18"),
        ({"backbone": "s3d"}, "backbone s3d is a video network and family TSN needs .* choose family 3D"),
        ({"family": "TSM", "backbone": "mvit_v2_s"}, "choose family 3D, or backbone auto"),
        ({"family": "3D", "modality": "flow"}, "no other input than rgb, not flow; choose modality rgb"),
        ({"family": "3D", "modality": "rgb-difference"}, "choose modality rgb, or family TSN"),
        ({"family": "3D", "head": "tcn"}, "shows one; set trainable to heads"),
    ],
)
def test_an_impossible_recipe_is_refused_in_one_line(choice, reason):
    with pytest.raises(ValidationError, match=reason) as refused:
        TrainOptions(**choice)
    (error,) = refused.value.errors()
    assert "\n" not in error["msg"]


def test_a_video_network_with_a_frozen_backbone_may_have_another_head():
    TrainOptions(family="3D", head="tcn", trainable="heads")


def test_the_original_experiment_keeps_its_options():
    changed = ORIGINAL.model_dump(exclude_defaults=True, mode="json")
    assert changed == {
        "backbone": "resnet50", "weights": "epic", "batch_norm": "first-only", "dropout": 0.7, "train_frames": "middle", "crop": "centre",
        "mirror": False, "validate_every": 2, "validation_crops": 10,
    }  # fmt: skip
    assert (ORIGINAL.optimizer, ORIGINAL.learning_rate, ORIGINAL.batch_size, ORIGINAL.epochs) == ("adam", 1e-5, 1, 60)


@pytest.mark.parametrize(
    ("uri", "is_store"),
    [
        *((uri, True) for uri in ("s3://retake", "s3://retake/", "s3://retake/a/b/", "s3://retake/..a/.b/a../a=1/_")),
        *((uri, False) for uri in ("s3://a/../b", "s3://retake/..", "s3://retake/a/../b", "s3://retake/./a", "s3://retake/...")),
        *((uri, False) for uri in ("s3://retake//a", "s3://retake/a//")),
    ],
)
def test_a_bucket_or_a_folder_in_it_is_a_store_and_an_address_that_leads_elsewhere_is_none(uri, is_store):
    with nullcontext() if is_store else pytest.raises(ValidationError):
        assert TypeAdapter(StoreUri).validate_python(uri) == uri
        assert TypeAdapter(StoreRoot).validate_python(uri) == uri.rstrip("/")
    assert bool(re.search(STORE_URI_PATTERN, uri)) == is_store, "the form has the same pattern"


def test_a_setting_means_the_same_store_with_a_slash_at_its_end_and_without():
    sources, stores = SourceSettings(sources={"s3://a/": []}), LabellingSettings(stores=["s3://a/b/", "s3://a"])
    assert (RunnerSettings(store_uri="s3://a/").store_uri, *sources.sources, *stores.stores) == ("s3://a", "s3://a", "s3://a/b", "s3://a")


CPU, GPU = {"has_gpu": False, "num_clips": 10_000}, {"has_gpu": True, "num_clips": 10_000}
LARGE = {"has_gpu": False, "num_clips": 10_001}
PROBE = {"head": "probe", "feature_variants": 4}
FREE = {"backbone": "auto", "weights": "auto"}


@pytest.mark.parametrize(
    ("given", "situation", "wanted"),
    [
        ({}, CPU, (LIGHT, PROBE)),
        ({}, LARGE, (LIGHT, {})),
        ({}, GPU, (ORIGINAL, FREE)),
        ({"trainable": "heads"}, GPU, (LIGHT, PROBE | FREE)),
        ({"epochs": 6}, CPU, (LIGHT, {"epochs": 6})),
        ({"epochs": 6}, GPU, (ORIGINAL, FREE | {"epochs": 6})),
        ({"num_segments": 3}, CPU, (LIGHT, PROBE | {"num_segments": 3})),
        ({"head": "tcn"}, CPU, (LIGHT, {"head": "tcn"})),
        ({"head": "probe", "trainable": "heads"}, LARGE, (LIGHT, {"head": "probe"})),
        ({"family": "TRN"}, CPU, (LIGHT, {"family": "TRN"})),
        ({"family": "3D"}, CPU, (LIGHT, PROBE | FREE | {"family": "3D"})),
        ({"modality": "sound", "trainable": "heads"}, GPU, (LIGHT, PROBE | FREE | {"modality": "sound"})),
        ({"trainable": "last-stage"}, CPU, (LIGHT, {"trainable": "last-stage"})),
        ({"backbone": "resnet50"}, CPU, (LIGHT, PROBE | FREE | {"backbone": "resnet50"})),
        ({"checkpoint": "models:/a@champion"}, CPU, (LIGHT, PROBE | FREE | {"checkpoint": "models:/a@champion"})),
        ({"checkpoint": None}, CPU | {"named": ["checkpoint"]}, (LIGHT, PROBE)),
        ({"label_noise": 0.2}, CPU, (LIGHT, PROBE | {"label_noise": 0.2})),
        ({"trainable": "all"}, CPU | {"named": ["trainable"]}, (LIGHT, {"trainable": "all"})),
        ({}, CPU | {"varied": ["learning_rate"]}, (LIGHT, {})),
        ({}, CPU | {"varied": ["num_segments"]}, (LIGHT, PROBE)),
    ],
)
def test_auto_suits_machine_and_clips_and_keeps_the_options_that_differ_from_the_form(given, situation, wanted):
    chosen, line = choose_recipe(TrainOptions(**given).model_dump(mode="json"), **situation)
    recipe, changes = wanted
    assert chosen == TrainOptions.model_validate({**recipe.model_dump(mode="json"), **changes})
    assert (", more than 10,000" in line) == ((given, situation) == ({}, LARGE))
    assert line.endswith(f"; kept from the form: {', '.join(given)}") == bool(given)


def test_the_labels_that_the_gate_needs_hang_little_on_which_of_few_videos_are_in_val():
    gate = GateOptions(min_gate_clips=10)
    assert [gate.labels_needed(20, 20, num_val) for num_val in (0, 1, 6, 10, 12)] == [65, 60, 38, 20, 12]
    assert gate.labels_needed(20, 10, 1) == 100, "every second clip has an action"
    assert gate.labels_needed(0, 0, 0) == 45


def test_auto_names_the_choice_and_its_reason():
    assert choose_recipe({}, has_gpu=False, num_clips=55)[1] == "auto: a probe on tf_efficientnet_lite0, for no GPU and 55 training clips"
    assert choose_recipe({}, has_gpu=True, num_clips=1)[1] == "auto: all of the network for 60 epochs, for a GPU and 1 training clip"


def test_auto_trains_nothing_where_networks_are_fused():
    chosen, line = choose_recipe({"fuse": ["runs/0123456789abcdef/"]}, has_gpu=False, num_clips=9)
    assert (chosen, line) == (TrainOptions(fuse=["runs/0123456789abcdef/"]), "auto: trained networks are fused, and nothing is trained")


def test_options_that_are_gone_are_read_and_remembered_where_they_had_another_value_than_their_default():
    stored = [{"num_to_label": 3, "preview": preview} for preview in (False, True)]
    kept, changed = (PredictOptions.model_validate(values, context=STORED) for values in stored)
    assert (kept, kept.gone, changed.gone) == (PredictOptions(num_to_label=3), {}, {"preview": True})
    for model, given in (
        (TrainOptions, {"schedule": "plateau"}),
        (SearchOptions, {"search": ["dropout", "mixup"]}),
        (EvaluateOptions, {"engine": "openvino-int8"}),
    ):
        read = model.model_validate(given, context=STORED)
        assert read.gone == given == read.model_dump(exclude_defaults=True), "it is written as it was read"
        assert read.model_dump(include=set(given)) == given
        assert read.model_dump(include=set()) == {}
        assert read.model_dump(exclude=set(given)).keys() == model.model_fields.keys() - given.keys()
    for refused, context in ((stored[0], None), ({"no_such_option": 1}, STORED)):
        with pytest.raises(ValidationError, match="not permitted"):
            PredictOptions.model_validate(refused, context=context)
