import pytest

from tasks.errors import BadConfiguration, BadInput
from tasks.local.choices import CHAIN, SAMPLE_OPTIONS, Choices, check_source, parse
from tasks.options import LIGHT, PRESETS, SplitOptions


def test_the_sample_options_are_within_their_limits():
    assert parse([f"{key}={value}" for key, value in SAMPLE_OPTIONS.items()]) == SAMPLE_OPTIONS
    assert not SplitOptions.model_validate({"test_share": SAMPLE_OPTIONS.get("test_share")}).test_share_of(12), (
        "the table of the README is of twelve films without test"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs=3", {"epochs": 3}),
        ("learning-rate=5e-4", {"learning_rate": 5e-4}),
        ("crops=1", {"crops": 1}),
        ("backbone=resnet50", {"backbone": "resnet50"}),
        ("checkpoint=null", {"checkpoint": None}),
        ("force=true", {"force": True}),
        ("weights=none", {"weights": "none"}),
        *((f"preset={name}", {"preset": name}) for name in ("auto", "mine", *PRESETS)),
    ],
)
def test_a_pair_becomes_a_typed_option(text, expected):
    assert parse([text]) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("epochs", "key=value"),
        ("val_share=0.6; test_share=0.5", "leave nothing to train on"),
        ("epoch=3", r"unknown options epoch; did you mean epochs\? known are .*epochs"),
        ("colour=3", "unknown options colour; .*known are"),
        ("epochs=0", "epochs: .*greater than or equal to 1"),
        ("epochs=many", "epochs: .*valid integer.*and not 'many'"),
        ("model_name=a b", "model_name: 'a b' does not have the required form: Name in MLflow's registry"),
        ("val_share=1.5", "val_share"),
        ("sources=/tmp", "unknown options sources"),
        ("dataset=s3://retake/datasets/x", "unknown options dataset"),
        ("preset=../x", "preset: '../x' is no name of a recipe"),
        ("mixup=0.2", "--set: mixup was removed; leave it out"),
        ("preview=true", "--set: preview was removed"),
        ("preset=thorough", "the recipe thorough was removed; choose light or auto"),
        ("preset=mine; epochs=60", "epochs: this is its default, which the recipe mine may replace"),
    ],
)
def test_a_wrong_pair_is_named(text, complaint):
    with pytest.raises(BadConfiguration, match=complaint):
        parse(text.split("; "))


@pytest.mark.parametrize(
    ("chosen", "preset"), [("epochs=3", None), ("epochs=60", "none"), ("trainable=all", "none"), ("val_share=0.3", None)]
)
def test_an_option_that_is_named_with_the_forms_own_value_is_not_replaced(chosen, preset):
    assert parse([chosen]).get("preset") == preset


def test_a_preset_beside_other_options_means_the_preset_with_these_options():
    given = {"epochs": 60, "dropout": 0.5, "val_share": 0.3}
    chosen = parse(["preset=light", *(f"{name}={value}" for name, value in given.items())])
    assert chosen == {**LIGHT.model_dump(mode="json"), **given, "preset": "none"}


def test_a_probe_trains_the_heads_without_being_told():
    assert parse(["head=probe"])["trainable"] == "heads"
    with pytest.raises(BadConfiguration, match="set trainable to heads"):
        parse(["head=probe", "trainable=all"])


def test_each_option_reaches_the_form_that_has_it_and_every_later_run():
    options = {"clip_seconds": 4.0, "min_overlap": 0.5, "val_share": 0.3, "split_seed": 7, "epochs": 2, "crops": 1, "force": True}
    choices = Choices(store="s3://retake", sources=["/videos"], options=options)
    ingest, dataset, retrain = map(choices.conf, CHAIN)
    following = {"epochs": 2, "crops": 1, "force": True}
    shares = {"min_overlap": 0.5, "val_share": 0.3, "split_seed": 7}
    assert ingest == {"store": "s3://retake", "sources": ["/videos"], "clip_seconds": 4.0, "then": {**shares, **following}}
    assert dataset == {"store": "s3://retake", "clip_seconds": 4.0, **shares, "then": following}
    assert retrain == {"store": "s3://retake", **following}


def test_a_folder_of_videos_is_made_absolute_one_that_is_absent_or_empty_refused_and_a_pattern_of_a_bucket_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="videos is not a folder"):
        check_source("videos")
    with pytest.raises(BadConfiguration, match="~nobody-of-this-name/videos: there is no such user"):
        check_source("~nobody-of-this-name/videos")
    (tmp_path / "videos" / "put").mkdir(parents=True)
    with pytest.raises(BadInput, match="has no file"):
        check_source("videos")
    (tmp_path / "videos" / "put" / "a.mp4").touch()
    assert check_source("videos") == str(tmp_path / "videos")
    assert check_source("s3+nas://films/cam*/**.mp4") == "s3+nas://films/cam*/**.mp4"
