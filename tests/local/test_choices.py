from pathlib import Path

import pytest

from tasks.errors import BadConfiguration, BadInput
from tasks.local.choices import CHAIN, SAMPLE_OPTIONS, Choices, check_folder, parse, suited
from tasks.options import LIGHT, ORIGINAL, PRESETS, Head, TrainOptions, Weights


def test_the_sample_options_are_within_their_limits():
    assert parse([f"{key}={value}" for key, value in SAMPLE_OPTIONS.items()]) == SAMPLE_OPTIONS


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
        *((f"preset={name}", {"preset": name}) for name in PRESETS),
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
        ("preset=auto", "preset: .*'none', 'original', 'thorough', 'light' or 'long'.* and not 'auto'"),
    ],
)
def test_a_wrong_pair_is_named(text, complaint):
    with pytest.raises(BadConfiguration, match=complaint):
        parse(text.split("; "))


def trained_with(chosen, *, has_gpu):
    options, line = suited(parse(chosen, takes_auto=True), has_gpu=has_gpu)
    return TrainOptions(**{name: value for name, value in options.items() if name in TrainOptions.model_fields}), options, line


@pytest.mark.parametrize("chosen", [[], ["preset=auto"], ["val_share=0.3"]])
def test_a_cpu_trains_heads_and_a_gpu_as_the_original_experiment_and_a_line_names_the_other_choice(chosen):
    on_cpu, options, line = trained_with(chosen, has_gpu=False)
    assert (on_cpu, "preset" in options) == (LIGHT, False)
    assert "no GPU" in line and line.endswith("SET=preset=original")
    on_gpu, options, line = trained_with(chosen, has_gpu=True)
    assert on_gpu == ORIGINAL.model_copy(update={"weights": Weights.AUTO}), "else a machine without the weights could not begin"
    assert "on the GPU" in line and line.endswith("SET=preset=light")
    assert options.get("val_share") == (0.3 if chosen == ["val_share=0.3"] else None)


@pytest.mark.parametrize("chosen", [["epochs=3"], ["preset=none"], ["preset=original"], ["preset=thorough"], ["preset=light", "epochs=3"]])
def test_who_chooses_a_training_gets_no_other(chosen):
    assert trained_with(chosen, has_gpu=False)[1:] == (parse(chosen), None)


@pytest.mark.parametrize(("has_gpu", "backbone"), [(False, "tf_efficientnet_lite0"), (True, "resnet50")])
def test_options_beside_the_preset_auto_hold_and_it_trains_what_a_probe_can_be_fitted_to(has_gpu, backbone):
    assert trained_with(["preset=auto", "epochs=3"], has_gpu=has_gpu)[0].epochs == 3
    train, _, line = trained_with(["preset=auto", "head=probe"], has_gpu=has_gpu)
    assert (train.head, train.trainable, train.backbone) == (Head.PROBE, "heads", backbone)
    assert f"training only the heads on {'the GPU' if has_gpu else backbone}" in line
    with pytest.raises(BadConfiguration, match="set trainable to heads"):
        trained_with(["preset=auto", "head=probe", "trainable=all"], has_gpu=has_gpu)


def test_each_option_reaches_the_form_that_has_it_and_every_later_run():
    options = {"clip_seconds": 4.0, "min_overlap": 0.5, "val_share": 0.3, "split_seed": 7, "epochs": 2, "crops": 1, "force": True}
    choices = Choices(store="s3://retake", sources=["/videos"], options=options)
    ingest, dataset, retrain = map(choices.conf, CHAIN)
    following = {"epochs": 2, "crops": 1, "force": True}
    shares = {"min_overlap": 0.5, "val_share": 0.3, "split_seed": 7}
    assert ingest == {"store": "s3://retake", "sources": ["/videos"], "clip_seconds": 4.0, "then": {**shares, **following}}
    assert dataset == {"store": "s3://retake", "clip_seconds": 4.0, **shares, "then": following}
    assert retrain == {"store": "s3://retake", **following}


def test_a_folder_of_videos_is_made_absolute_and_one_that_is_absent_or_empty_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="is not a folder"):
        check_folder(Path("videos"))
    (tmp_path / "videos" / "put").mkdir(parents=True)
    with pytest.raises(BadInput, match="has no file"):
        check_folder(Path("videos"))
    (tmp_path / "videos" / "put" / "a.mp4").touch()
    assert check_folder(Path("videos")) == tmp_path / "videos"
