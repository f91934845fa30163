"""Options and results that keep their names in the store, and those that get others."""

import pytest
from pydantic import create_model

from tasks import keys
from tasks.errors import BadConfiguration
from tasks.keys import (
    ALWAYS,
    clip_recipe_of,
    configuration_key,
    content_key,
    export_key,
    flow_recipe_of,
    frames_made_by,
    fused,
    installed,
    options_key,
    recipe_of,
    search_key,
    without_idle,
)
from tasks.options import PRESETS, EvaluateOptions, ExportOptions, FlowOptions, GateOptions, SearchOptions, SegmentOptions, TrainOptions
from tasks.options.base import STORED
from tasks.pipeline._plans import PlannedTraining
from tasks.pipeline.compare_versions.contract import COMPARE_VERSIONS
from tasks.pipeline.forget.contract import FORGET
from tasks.pipeline.predict_videos.contract import PLAN as PREDICT_PLAN
from tasks.pipeline.predict_videos.contract import PredictPlanArguments
from tasks.pipeline.retrain.contract import PLAN, PlanArguments
from tasks.pipeline.search.contract import PLAN as SEARCH_PLAN
from tasks.store.run_layout import Run

DIS = FlowOptions(flow_method="dis")


@pytest.fixture
def opencv(monkeypatch):
    """Pretend that this version of OpenCV is installed."""
    return lambda version: monkeypatch.setattr(keys, "installed", {keys.OPENCV: version}.__getitem__)


def test_a_way_of_cutting_keeps_the_name_that_stores_know_it_by():
    assert recipe_of(SegmentOptions()) == "e8c88a8e61233664"


def test_clips_are_named_for_the_options_and_the_ffmpeg():
    options = SegmentOptions(), SegmentOptions(crf=21)
    names = {clip_recipe_of(chosen, version) for chosen in options for version in ("7.0.2-static", "7.1.5-0+deb13u1")}
    assert len(names | {recipe_of(chosen) for chosen in options}) == 6


def test_flow_keeps_its_name_but_under_another_opencv(opencv):
    opencv("5.0.0.93")
    first = flow_recipe_of(FlowOptions()), flow_recipe_of(DIS)
    assert first == ("7d83fe2c57bf60a9", "c1e9f416d54760c8")
    opencv("5.1.0.95")
    second = flow_recipe_of(FlowOptions()), flow_recipe_of(DIS)
    assert len({*first, *second}) == 4


def test_frames_are_named_for_the_installed_packages():
    av, pillow = pytest.importorskip("av"), pytest.importorskip("PIL")
    assert frames_made_by() == f"av-{av.__version__}-pillow-{pillow.__version__}"


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(BadConfiguration, match="no-such-package is not installed"):
        installed("no-such-package")


def test_options_of_epochs_rates_and_batches_give_a_probe_no_name_of_its_own():
    probe = {"head": "probe", "trainable": "heads"}
    gradient = {"epochs": 9, "learning_rate": 0.1, "batch_size": 8, "optimizer": "sgd", "patience": 3}
    changed = {**gradient, "dropout": 0.5, "label_smoothing": 0.2}
    plain, other, balanced = (
        configuration_key(TrainOptions(**probe | options)) for options in ({}, changed, {"class_weights": "balanced"})
    )
    assert plain == other != balanced


def test_the_presets_are_different_trainings_and_set_nothing_without_effect():
    assert {name: without_idle(preset) for name, preset in PRESETS.items()} == PRESETS
    assert len({content_key(options_key(preset)) for preset in (TrainOptions(), *PRESETS.values())}) == len(PRESETS) + 1


def test_a_fusion_is_named_for_its_networks_and_where_features_are_joined_for_the_head():
    probe = TrainOptions(head="probe", trainable="heads", seed=3, epochs=9, label_noise=0.2)
    averaged = fused(probe, ["runs/a/", "runs/b/"])
    assert averaged == TrainOptions(fuse=["runs/a/", "runs/b/"])
    joined = fused(probe.model_copy(update={"join": "features", "fuse": ["runs/a/", "runs/b/"]}), ["runs/a/", "runs/b/"])
    assert (joined.join, joined.head, joined.seed, joined.epochs) == ("features", "probe", 3, TrainOptions().epochs)


def test_smoothed_labels_have_a_name_that_tells_over_which_classes():
    assert "smoothed_over" not in options_key(TrainOptions())
    assert options_key(TrainOptions(label_smoothing=0.1))["smoothed_over"] == "classes of train"


ONE_VIEW = {"train_frames": "middle", "crop": "centre", "mirror": False}


def test_a_training_keeps_the_name_that_it_had_before_there_were_these_options():
    assert content_key(options_key(TrainOptions())) == "8c2401649379f184"
    assert content_key(options_key(TrainOptions(epochs=3, trainable="heads", backbone="resnet50"))) == "89eb37fb130ed92d"
    assert configuration_key(TrainOptions(modality="sound", trainable="heads", backbone="log-mel")) == "c3b92c180b3fd67c"
    assert content_key(options_key(GateOptions())) == "edce8e20f834f28b" != content_key(options_key(GateOptions(yearly_error=0.2)))


@pytest.mark.parametrize(
    ("options", "stored", "name"),
    [
        (TrainOptions, {"mixup": 0.2, "batch_size": 4, "layer_decay": 1, "segment_length": 0.5}, "b7fd34839ba7791c"),
        (TrainOptions, {"head": "lstm", "sampling_window": 0.5}, "86a4a78d0e065bf9"),
        (TrainOptions, {"modality": "spectrogram"}, "78f20eb520f898b7"),
        (TrainOptions, {"modality": "sound", "trainable": "heads", "backbone": "aisfx"}, "dd2366499d31ec22"),
        (GateOptions, {"gain_rule": "margin", "min_gain_points": 1.0}, "58038fb8bdd18a8e"),
    ],
)
def test_options_of_an_earlier_version_keep_their_name_with_an_option_that_is_gone(options, stored, name):
    assert content_key(options_key(options.model_validate(stored, context=STORED))) == name


def test_a_form_keeps_the_plan_that_it_led_to_before_options_were_removed():
    retrain = PlanArguments(store="s3://retake", weights_result="s3://retake/w/")
    light = retrain.model_copy(update={"preset": "light", "epochs": 6})
    assert [PLAN.address(form).folder_uri.split("/")[-2] for form in (retrain, light)] == ["bab3f37c3e8b249f", "2c010cce13e48420"]
    prediction = PREDICT_PLAN.address(PredictPlanArguments(store="s3://retake"))
    assert prediction.folder_uri.split("/")[-2] == "a73e49a2a331a378"


STORE = {"store": "s3://retake"}
TRAINING = PlannedTraining(TrainOptions(), "0123", Run("s3://retake/runs/0123/"))


@pytest.mark.parametrize(
    ("key", "options", "name"),
    [
        (SEARCH_PLAN.address, SEARCH_PLAN.arguments(**STORE), "searches/0b2d84852bd0ca34"),
        (COMPARE_VERSIONS.address, COMPARE_VERSIONS.arguments(**STORE), "comparisons/versions/dd16ae7e438b948a"),
        (FORGET.address, FORGET.arguments(**STORE, video="kitchen"), "forgotten/asked/3763881f221773e9"),
        (TRAINING.evaluations, EvaluateOptions(), "runs/0123/evaluate/d28326e18b806814"),
        (
            TRAINING.evaluations,
            EvaluateOptions.model_validate({"engine": "openvino-int8"}, context=STORED),
            "runs/0123/evaluate/70f97746637b9983",
        ),
    ],
)
def test_forms_and_tests_of_networks_keep_their_places(key, options, name):
    assert key(options).folder_uri == f"s3://retake/{name}/"


@pytest.mark.parametrize(
    ("model", "given", "key"),
    [
        *((model, {}, options_key) for model in (TrainOptions, SegmentOptions, GateOptions, EvaluateOptions)),
        (ExportOptions, {}, export_key),
        (FlowOptions, {}, flow_recipe_of),
        (EvaluateOptions, {}, TRAINING.evaluations),
        *((PLAN.arguments, {**STORE, "weights_result": "s3://retake/w/", "preset": preset}, PLAN.address) for preset in ("auto", "light")),
        *((step.arguments, STORE, step.address) for step in (PREDICT_PLAN, SEARCH_PLAN, COMPARE_VERSIONS, FORGET)),
    ],
)
def test_a_new_option_at_its_default_leaves_each_key_as_it_is(model, given, key):
    later = create_model("Later", __base__=model, later_option=(int, 3))
    assert key(later(**given)) == key(model(**given)) != key(later(**given, later_option=4))
    later = type("Later", (model,), {"retired": {"later_option": 3}})
    assert key(later(**given)) == key(model(**given)) != key(later.model_validate({**given, "later_option": 4}, context=STORED))


def test_a_search_that_scores_the_last_epoch_has_another_name_than_one_that_scores_the_best():
    options = SearchOptions().model_dump(mode="json")
    assert search_key(options) != content_key(options)


def test_each_option_that_is_chosen_gives_a_training_a_name_of_its_own():
    others = [
        {"dropout": 0.5}, {"train_frames": "middle"}, {"mirror": False}, {"validation_crops": 10}, {"label_noise": 0.2},
        {"backbone": "resnet50", "backbone_weights": "0" * 64},
        {"head": "tcn"}, {"join": "features", "fuse": ["runs/a/"], "trainable": "heads"},
        {"views_seed": 1},
    ]  # fmt: skip
    assert {
        name for other in others for name in other if name not in ("backbone", "fuse", "trainable")
    } == TrainOptions.model_fields.keys() - ALWAYS
    assert len({content_key(options_key(TrainOptions(**other))) for other in [{}, *others]}) == len(others) + 1


VIDEO = {"family": "3D", "backbone": "r3d_18"}


@pytest.mark.parametrize(
    ("option", "value", "without", "used_with"),
    [
        ("flow_method", "dis", {}, {"modality": "flow"}),
        ("num_segments", 3, VIDEO, {}),
        ("validation_crops", 10, VIDEO, {}),
        ("frame_step", 2, VIDEO, {}),
        ("frame_step", 3, {"modality": "flow"}, {}),
        ("frame_step", 3, {"modality": "flow"}, {"crop": "centre", "mirror": False}),
        ("frame_step", 3, {"train_frames": "middle"}, {}),
        ("feature_variants", 3, {}, {"trainable": "heads"}),
        ("feature_variants", 3, ONE_VIEW | {"trainable": "heads"}, ONE_VIEW | {"trainable": "heads", "mirror": True}),
        ("feature_variants", 3, ONE_VIEW | {"trainable": "heads", "modality": "flow"}, {"trainable": "heads"}),
        ("views_seed", 3, {"seed": 3}, {"seed": 4}),
        ("views_seed", 3, ONE_VIEW, {"trainable": "heads"}),
        ("batch_norm", "train", {"trainable": "heads"}, {"trainable": "last-stage"}),
    ],
)
def test_an_option_without_effect_makes_no_other_training(option, value, without, used_with):
    assert configuration_key(TrainOptions(**{option: value}, **without)) == configuration_key(TrainOptions(**without))
    assert configuration_key(TrainOptions(**{option: value}, **used_with)) != configuration_key(TrainOptions(**used_with))


def test_an_option_without_effect_on_sound_makes_no_other_training():
    heard = {"modality": "sound", "trainable": "heads"}
    seen = {"crop": "multi-scale", "mirror": False, "validation_crops": 10}
    assert without_idle(TrainOptions(**heard, **seen)) == without_idle(TrainOptions(**heard))
    middle = heard | {"train_frames": "middle"}
    assert without_idle(TrainOptions(**middle, feature_variants=3)) == without_idle(TrainOptions(**middle))
