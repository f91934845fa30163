"""Whole trainings by recipes: what each choice changes, and that a run that goes on is as one that was never stopped."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.data import default_collate

from tasks.errors import BadConfiguration
from tasks.learn.inputs.data import ClipDataset, View
from tasks.learn.networks.checkpoints import load
from tasks.learn.training.epochs import decay_after
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.job import set_up_images
from tasks.learn.training.module import ActionModule
from tasks.learn.training.recipe import CrossEntropies, Mixup, balanced_weights
from tasks.options import THOROUGH, RecipeOptions
from tests.learn.tiny import EXACT, HEADS, assert_resumes, assert_same_files, curves, figures, job, kept_job, outspoken, state_of

pytestmark = pytest.mark.slow

SGD = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0}
STILL = {"learning_rate": 1e-12, "epochs": 1} | EXACT
"""Weights that hardly change, so that losses are those of the network as it was."""
RECIPES = {
    "step": {**SGD, "momentum": 0.9, "schedule": "step", "step_epochs": 1, "accumulate_batches": 3, "batch_size": 1, "clip_norm": 0.5},
    "plateau": {
        "learning_rate": 0.3, "schedule": "plateau", "plateau_validations": 1, "decay_factor": 0.5, "validate_every": 2, "epochs": 12,
        "ema_decay": 0.5,
    },
    "cosine": {
        "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 2, "epochs": 4, "class_weights": "balanced", "mixup": 0.5,
        "label_smoothing": 0.1, "crop": "multi-scale", "color_jitter": 0.3, "ema_decay": 0.99,
    },
    "constant": {"dropout": 0.5, "validation_crops": 10, "warmup_epochs": 1, "sampler": "balanced", "ema_decay": 0.9, "precision": "bf16-mixed", "clip_norm": 1, "mixup": 1},
}  # fmt: skip


def rates(outcome: TrainOutcome) -> list[float]:
    return [record.learning_rate for record in outcome.history]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_that_goes_on_is_as_one_that_was_never_stopped(recipe, clips, tmp_path: Path):
    # Epoch 2 is between a validation and the next where some epochs are not validated.
    outcome = assert_resumes(lambda name: kept_job(tmp_path / name, clips, **RECIPES[recipe]), *((2, 6) if recipe == "plateau" else (0,)))
    losses = [record.val.loss for record in outcome.history if record.val]
    assert min(losses) < losses[0]
    if recipe == "step":
        outcome.best.unlink()
        fit(kept_job(tmp_path / "whole", clips, **RECIPES[recipe]))
        assert_same_files(tmp_path / "whole", tmp_path / "resumed")
    if recipe == "cosine":
        through = fit(job(tmp_path / "through", clips, **HEADS | RECIPES[recipe]))
        assert figures(outcome) == pytest.approx(figures(through), rel=1e-5)
        theirs = state_of(through)
        for name, tensor in state_of(outcome).items():
            torch.testing.assert_close(tensor, theirs[name], msg=name)
    if recipe == "plateau":
        expected, rate, best = [], 0.3, float("inf")
        for record in outcome.history:
            expected.append(rate)
            if record.val:
                rate *= 1 if record.val.loss < best else 0.5
                best = min(best, record.val.loss)
        assert rates(outcome) == expected
        assert len(set(expected)) > 1


def test_the_preset_for_a_gpu_trains_on_a_cpu(clips, tmp_path: Path):
    recipe = {name: getattr(THOROUGH, name) for name in RecipeOptions.model_fields} | {"epochs": 4}
    assert len(fit(job(tmp_path, clips, **recipe)).history) == 4


@pytest.mark.parametrize(
    ("choice", "expected", "said"),
    [
        (
            {"learning_rate": 0.01, "warmup_epochs": 1, "epochs": 4, "schedule": "step", "step_epochs": 2},
            [1e-4, 0.01, 0.01, 1e-3],
            ["0.0001", "0.01", "0.01", "0.001"],
        ),
        ({"epochs": 2}, [1e-3, 1e-3], []),
    ],
    ids=["changing", "constant"],
)
def test_the_rate_of_every_epoch_is_recorded_and_drawn_and_said_where_it_changes(clips, tmp_path: Path, caplog, choice, expected, said):
    with caplog.at_level(logging.INFO, logger="tasks.learn"):
        outcome = fit(kept_job(tmp_path / "run", clips, **choice))
    assert rates(outcome) == pytest.approx(expected)
    assert list(curves(tmp_path / "run")["learning_rate"].values()) == pytest.approx(expected)
    lines = [record.getMessage() for record in caplog.records if "learning rate " in record.getMessage()]
    assert [line.split("learning rate ")[1].split(";")[0] for line in lines] == said


@pytest.mark.parametrize("trainable", ["all", "heads"])
def test_what_shapes_the_training_loss_makes_the_known_one_and_leaves_validation_as_it_is(trainable, clips, tmp_path: Path):
    def planned(name: str, **choice):
        made = job(tmp_path / name, clips, batch_size=4, trainable=trainable, **STILL, **choice)
        outspoken(made.network)
        return made

    mixed, plain = planned("mixed", mixup=0.8), fit(planned("plain")).history[0]
    shown = ClipDataset(mixed.train, mixed.network.spec, lambda view: view.images(mixed.network.spec), seed=0)
    batch = default_collate([shown[key] for key in shown.keys(0)])
    module, mix = ActionModule(mixed.network, mixed.options, mixed.train).eval(), Mixup(0.8, 0).draw(0, 0, batch)
    with torch.no_grad():
        # What is mixed is the image, normalised, or the feature where the heads alone train.
        of_mixed = mix.losses(CrossEntropies(), module.answer(mix.inputs(module.see(batch.inputs))), batch)
        of_each = CrossEntropies()(module.answer(module.see(batch.inputs)), batch.verb, batch.noun)
    trained = {"mixup": fit(mixed).history[0]}
    trained |= {
        name: fit(planned(name, **{name: value})).history[0] for name, value in (("class_weights", "balanced"), ("label_smoothing", 0.5))
    }
    assert trained["mixup"].train.loss == pytest.approx(float(of_mixed.total.mean()), rel=2e-5)
    weights = balanced_weights(batch.verb, 5)[batch.verb]
    assert trained["class_weights"].train.verb_loss == pytest.approx(float((of_each.verb * weights).mean()), rel=1e-4)
    for record in trained.values():
        assert abs(record.train.loss - plain.train.loss) > 5e-4
        assert record.train.verb_loss + record.train.noun_loss == pytest.approx(record.train.loss)
        assert record.val == plain.val


def test_a_balanced_sampler_shows_a_rare_action_as_often_as_a_common_one(clips, tmp_path: Path):
    rare = [replace(clip, verb=int(number == 3), noun=0) for number, clip in enumerate(clips[:4])]
    _, train, _ = set_up_images(replace(job(tmp_path, clips, sampler="balanced"), train=rare), "cpu")
    for epoch in range(3):
        train.sampler.set_epoch(epoch)
        assert sorted(key.clip == 3 for key in train.sampler) == [False, False, True, True]


@pytest.mark.parametrize("make", [job, kept_job])
def test_batches_of_a_step_are_as_one_larger_batch(make, clips, tmp_path: Path):
    def trained(name: str, batch_size: int, accumulate_batches: int) -> dict[str, torch.Tensor]:
        choice = {**SGD, **EXACT, "batch_size": batch_size, "accumulate_batches": accumulate_batches, "epochs": 2}
        return state_of(fit(replace(make(tmp_path / name, clips, **choice), train=clips[:5])))

    whole, smaller = trained("whole", 4, 1), trained("smaller", 2, 1)
    assert any((tensor - smaller[name]).abs().max() > 1e-4 for name, tensor in whole.items() if tensor.is_floating_point())
    for name, *sizes in (("halves", 2, 2), ("quarters", 1, 4)):
        for key, tensor in trained(name, *sizes).items():
            torch.testing.assert_close(tensor, whole[key], rtol=1e-4, atol=1e-6, msg=key)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("make", [job, kept_job])
def test_a_step_is_no_longer_than_the_clipped_gradient(make, precision, clips, tmp_path: Path):
    planned = make(tmp_path / "run", clips, **SGD, batch_size=4, epochs=1, clip_norm=0.01, precision=precision)
    before = {name: tensor.clone() for name, tensor in planned.network.named_parameters()}
    fit(planned)
    moved = torch.cat([(tensor - before[name]).flatten() for name, tensor in planned.network.named_parameters()])
    assert float(moved.detach().norm()) == pytest.approx(0.1 * 0.01, rel=1e-2)


def test_averaged_weights_follow_their_recurrence_and_are_what_is_validated_and_kept(clips, tmp_path: Path):
    choice = {**SGD, "batch_size": 1, "epochs": 1, "batch_norm": "train"}
    watched = job(tmp_path / "plain", clips, **choice)
    states: list[dict[str, torch.Tensor]] = []

    def note(*_) -> None:
        if watched.network.training:
            states.append({name: tensor.clone() for name, tensor in watched.network.state_dict().items()})

    watched.network.backbone.register_forward_pre_hook(note)
    plain = fit(watched)
    after_steps = [*states[1:], watched.network.state_dict()]
    assert len(after_steps) == 4
    average = dict(after_steps[0])
    for number, state in enumerate(after_steps[1:], start=1):
        decay = min(0.25, (1 + number) / (10 + number))
        for name, tensor in state.items():
            average[name] = decay * average[name] + (1 - decay) * tensor if tensor.is_floating_point() else tensor
    planned = job(tmp_path / "averaged", clips, ema_decay=0.25, **choice)
    averaged = fit(planned)
    for network in (load(averaged.best).network, planned.network):
        for name, tensor in network.state_dict().items():
            torch.testing.assert_close(tensor, average[name], msg=name)
    assert averaged.best_val_loss != plain.best_val_loss
    module = ActionModule(load(averaged.best).network, planned.options, []).eval()
    with torch.no_grad():
        logits = module.answer(module.see(torch.stack([View(clip.frames).images(planned.network.spec) for clip in planned.val])))
    labels = torch.tensor([clip.verb for clip in planned.val]), torch.tensor([clip.noun for clip in planned.val])
    assert averaged.best_val_loss == pytest.approx(float(CrossEntropies()(logits, *labels).total.mean()), rel=1e-5)
    assert [decay_after(0.9, n) for n in (1, 8, 80, 81, 1000)] == pytest.approx([2 / 11, 0.5, 0.9, 0.9, 0.9])


def test_mixup_that_several_processes_have_no_pairs_for_is_refused(clips, tmp_path: Path):
    with pytest.raises(BadConfiguration, match="set batch_size to 4 or more"):
        fit(replace(job(tmp_path, clips, mixup=0.2), devices=2))
