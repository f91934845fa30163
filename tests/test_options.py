import re
from contextlib import nullcontext

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.keys import LATER, configuration_key, content_key, training_key, without_idle
from tasks.options import ORIGINAL, PRESETS, STORE_URI_PATTERN, StoreUri, TrainOptions


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ({"epochs": 3, "validate_every": 4}, "validate_every 4 is more than 3 epochs"),
        ({"schedule": "plateau", "warmup_epochs": 1}, "plateau has no warm-up"),
        ({"schedule": "plateau", "patience": 5, "plateau_validations": 5}, "patience 5 would end the training before 5 validations"),
        ({"epochs": 3, "warmup_epochs": 3}, "a warm-up of 3 epochs leaves none of 3"),
        ({"mixup": 0.2}, "batch_size is 1; raise batch_size"),
        ({"layer_decay": 0.5, "trainable": "heads"}, "layer_decay has nothing to slow down"),
        ({"class_weights": "balanced", "sampler": "balanced"}, "balance one of them"),
        ({"schedule": "step", "epochs": 20}, "schedule step would end before its first step after 20 epochs"),
        ({"epochs": 1001}, "more than 1000 epochs are for trainable=heads"),
        (
            {"backbone": "resnet50", "backbone_weights": "a.pth", "weights": "imagenet"},
            "names a file, and weights is imagenet; choose weights file",
        ),
        ({"backbone": "resnet50", "backbone_weights": "a.pth", "checkpoint": "runs/x/"}, "leave one of them out"),
        ({"backbone_weights": "a.pth"}, "name the backbone that the file was made for"),
        ({"family": "TRN", "head": "lstm"}, "TRN relates segments by a head of its own; choose family TSN or TSM for head lstm"),
        ({"head": "probe"}, "set trainable to heads, or choose head linear"),
        ({"family": "MTRN", "head": "tcn"}, "MTRN relates segments by a head of its own"),
        ({"weights": "file"}, "weights=file needs backbone_weights"),
        ({"modality": "sound"}, "trainable is all; set trainable=heads"),
        ({"modality": "sound", "trainable": "heads", "backbone": "resnet50"}, "set backbone to auto, aisfx or log-mel"),
        ({"modality": "sound", "trainable": "heads", "family": "TSM"}, "choose family=TSN"),
        ({"modality": "sound", "trainable": "heads", "weights": "imagenet"}, "set weights=auto"),
        ({"modality": "spectrogram", "backbone": "log-mel"}, "modality is spectrogram; choose modality=sound"),
        ({"join": "features", "trainable": "heads"}, "fuse is empty; name two or more, or set join=logits"),
        ({"join": "features", "fuse": ["runs/a/"]}, "trainable is all; set trainable=heads"),
        ({"join": "features", "fuse": ["runs/a/"], "trainable": "heads", "head": "attentive"}, "choose head linear, probe, lstm or tcn"),
        ({"schedule": "plateau", "epochs": 10, "validate_every": 2}, "its 5 validations before it could lower the rate"),
        ({"family": "3D", "backbone": "resnet50"}, "backbone resnet50 sees single pictures; choose backbone auto, r3d_18"),
        ({"backbone": "s3d"}, "backbone s3d is a video network and family TSN needs .* choose family 3D"),
        ({"family": "TSM", "backbone": "mvit_v2_s"}, "choose family 3D, or backbone auto"),
        ({"family": "3D", "modality": "flow"}, "no other input than rgb, not flow; choose modality rgb"),
        ({"family": "3D", "modality": "rgb-difference"}, "choose modality rgb, or family TSN"),
        ({"family": "3D", "head": "attentive"}, "family 3D has none; choose another head"),
        ({"family": "3D", "head": "lstm"}, "shows one; set trainable to heads"),
    ],
)
def test_what_a_recipe_cannot_be_is_refused_in_one_line(choice, reason):
    with pytest.raises(ValidationError, match=reason) as refused:
        TrainOptions(**choice)
    (error,) = refused.value.errors()
    assert "\n" not in error["msg"]


def test_a_video_network_may_have_any_head_that_sees_what_it_shows():
    TrainOptions(family="3D", head="tcn", trainable="heads")


def test_options_of_epochs_rates_and_batches_give_a_probe_no_name_of_its_own():
    probe = {"head": "probe", "trainable": "heads"}
    gradient = {"epochs": 9, "learning_rate": 0.1, "batch_size": 8, "optimizer": "sgd", "momentum": 0.5, "patience": 3}
    changed = {**gradient, "dropout": 0.5, "mixup": 0.2}
    plain, other, balanced = (
        configuration_key(TrainOptions(**probe | options)) for options in ({}, changed, {"class_weights": "balanced"})
    )
    assert plain == other != balanced


def test_the_original_experiment_stays_what_it_was():
    changed = ORIGINAL.model_dump(exclude_defaults=True, mode="json")
    assert changed == {
        "backbone": "resnet50", "weights": "epic", "batch_norm": "first-only", "dropout": 0.7, "train_frames": "middle", "crop": "centre",
        "mirror": False, "validate_every": 2, "validation_crops": 10,
    }  # fmt: skip
    assert (ORIGINAL.optimizer, ORIGINAL.learning_rate, ORIGINAL.batch_size, ORIGINAL.epochs) == ("adam", 1e-5, 1, 60)


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_a_preset_sets_nothing_without_effect(preset):
    assert without_idle(preset) == preset


def test_the_presets_are_different_trainings():
    assert len({content_key(training_key(preset)) for preset in (TrainOptions(), *PRESETS.values())}) == len(PRESETS) + 1


ONE_VIEW = {"train_frames": "middle", "crop": "centre", "mirror": False}


def test_a_clip_that_is_always_seen_alike_has_one_view_and_frames_of_its_own():
    heads = ONE_VIEW | {"trainable": "heads"}
    assert without_idle(TrainOptions(**heads, feature_variants=3)) == without_idle(TrainOptions(**heads))
    jittered = heads | {"modality": "flow", "color_jitter": 0.1}
    assert without_idle(TrainOptions(**jittered, feature_variants=3)) == without_idle(TrainOptions(**heads, modality="flow"))
    assert without_idle(TrainOptions(train_frames="middle", frame_step=3)) == without_idle(TrainOptions(train_frames="middle"))


def test_a_training_keeps_the_name_that_it_had_before_there_were_these_options():
    assert content_key(training_key(TrainOptions())) == "8c2401649379f184"
    assert content_key(training_key(TrainOptions(epochs=3, trainable="heads", backbone="resnet50"))) == "89eb37fb130ed92d"


def test_each_option_that_is_chosen_gives_a_training_a_name_of_its_own():
    others = [
        {"dropout": 0.5}, {"train_frames": "middle"}, {"mirror": False}, {"validation_crops": 10}, {"label_noise": 0.2},
        {"sampling_window": 0.5}, {"segment_length": 0.5}, {"backbone": "resnet50", "backbone_weights": "0" * 64},
        {"interpolation": "bicubic"}, {"head": "lstm"}, {"join": "features", "fuse": ["runs/a/"], "trainable": "heads"},
    ]  # fmt: skip
    assert {name for other in others for name in other if name not in ("backbone", "fuse", "trainable")} == set(LATER)
    assert len({content_key(training_key(TrainOptions(**other))) for other in [{}, *others]}) == len(others) + 1


@pytest.mark.parametrize(
    ("option", "value", "used_with"),
    [
        ("relation_draws", 5, {"family": "MTRN"}),
        ("flow_method", "dis", {"modality": "flow"}),
        ("flow_bound_pixels", 15, {"modality": "flow"}),
        ("frame_step", 3, {}),
        ("color_jitter", 0.2, {}),
        ("segment_length", 0.5, {}),
        ("interpolation", "bicubic", {}),
        ("momentum", 0.5, {"optimizer": "sgd"}),
        ("step_epochs", 7, {"schedule": "step"}),
        ("plateau_validations", 7, {"schedule": "plateau"}),
        ("decay_factor", 0.5, {"schedule": "step"}),
        ("decay_factor", 0.5, {"schedule": "plateau"}),
        ("feature_variants", 3, {"trainable": "heads"}),
        ("batch_norm", "train", {"trainable": "last-stage"}),
        ("frame_step", 3, {"crop": "centre", "mirror": False}),
        ("feature_variants", 3, ONE_VIEW | {"trainable": "heads", "mirror": True}),
        ("feature_variants", 3, ONE_VIEW | {"trainable": "heads", "color_jitter": 0.1}),
    ],
)
def test_what_changes_nothing_of_a_training_makes_no_other_one(option, value, used_with):
    others = {
        "frame_step": {"modality": "flow"},
        "color_jitter": {"modality": "flow"},
        "interpolation": {"modality": "flow"},
        "batch_norm": {"trainable": "heads"},
    }
    without = (others | {"segment_length": {"train_frames": "middle"}}).get(option, {})
    assert without_idle(TrainOptions(**{option: value}, **without)) == without_idle(TrainOptions(**without))
    assert without_idle(TrainOptions(**{option: value}, **used_with)) != without_idle(TrainOptions(**used_with))


def test_what_changes_no_sound_makes_no_other_training_of_it():
    for heard in ({"modality": "sound", "trainable": "heads"}, {"modality": "spectrogram"}):
        seen = {"crop": "multi-scale", "mirror": False, "color_jitter": 0.1, "interpolation": "bicubic", "validation_crops": 10}
        assert without_idle(TrainOptions(**heard, **seen)) == without_idle(TrainOptions(**heard))
        middle = heard | {"train_frames": "middle", "trainable": "heads"}
        assert without_idle(TrainOptions(**middle, feature_variants=3)) == without_idle(TrainOptions(**middle))


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
    assert bool(re.search(STORE_URI_PATTERN, uri)) == is_store, "the form has the same pattern"
