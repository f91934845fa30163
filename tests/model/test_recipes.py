"""Whole trainings by recipes: what each choice changes, and that a run that goes on is as one that was never stopped."""

import logging
import math
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from tasks.errors import BadConfiguration
from tasks.model.averaging import decay_after
from tasks.model.checkpoints import load
from tasks.model.data import CachedClip, ClipDataset, ClipKey, View
from tasks.model.job import TrainJob
from tasks.model.losses import CrossEntropies, balanced_weights
from tasks.model.mixup import Mixup
from tasks.model.module import ActionModule, HeadModule
from tasks.model.network import Network
from tasks.model.training import TrainOutcome, fit
from tasks.options import THOROUGH, RecipeOptions
from tests.model.test_training import EXACT, Stop, curves, job, same_files, scores, stop_after

pytestmark = pytest.mark.slow

SGD = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0}
STILL = {"learning_rate": 1e-12, "epochs": 1} | EXACT
"""Weights that hardly change, so that losses are those of the network as it was."""


def kept_job(folder: Path, clips: list[CachedClip], root: Path, **choice) -> TrainJob:
    return replace(job(folder, clips, trainable="heads", feature_variants=2, **choice), features=root)


def state_of(outcome: TrainOutcome) -> dict[str, torch.Tensor]:
    return load(outcome.best).network.state_dict()


def figures(outcome: TrainOutcome) -> list[float]:
    return [value for record in outcome.history for means in (record.train, record.val) for value in asdict(means).values()]


def rates(outcome: TrainOutcome) -> list[float]:
    return [record.learning_rate for record in outcome.history]


RECIPES = {
    "step": {**SGD, "momentum": 0.9, "schedule": "step", "step_epochs": 1, "accumulate_batches": 3, "batch_size": 1, "clip_norm": 0.5},
    "plateau": {
        "learning_rate": 0.03, "schedule": "plateau", "plateau_validations": 1, "decay_factor": 0.5, "validate_every": 2, "epochs": 6,
        "ema_decay": 0.5,
    },
    "cosine": {
        "optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 2, "epochs": 5, "sampler": "balanced", "mixup": 0.5,
        "label_smoothing": 0.1, "crop": "multi-scale", "color_jitter": 0.3, "ema_decay": 0.99,
    },
    "constant": {"dropout": 0.5, "validation_crops": 10, "warmup_epochs": 1, "class_weights": "balanced", "ema_decay": 0.9, "precision": "bf16-mixed", "clip_norm": 1, "mixup": 1},
}  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_that_goes_on_is_as_one_that_was_never_stopped(recipe, clips, tmp_path: Path):
    def planned(name: str) -> TrainJob:
        return kept_job(tmp_path / name, clips, tmp_path / "kept", **RECIPES[recipe])

    undisturbed = fit(planned("undisturbed"))
    # Between a validation and the next where some epochs are not validated.
    for epoch in (0, 3) if recipe == "plateau" else (0, 1):
        with pytest.raises(Stop):
            fit(planned("cut"), on_epoch=stop_after(epoch))
    resumed = fit(planned("cut"))
    assert scores(resumed) == scores(undisturbed)
    same_files(tmp_path / "cut", tmp_path / "undisturbed")
    assert curves(tmp_path / "cut") == curves(tmp_path / "undisturbed")


def test_the_preset_for_a_gpu_trains_and_goes_on_on_a_cpu(clips, tmp_path: Path):
    recipe = {name: getattr(THOROUGH, name) for name in RecipeOptions.model_fields} | {"epochs": 5}
    undisturbed = fit(job(tmp_path / "undisturbed", clips, **recipe))
    with pytest.raises(Stop):
        fit(job(tmp_path / "cut", clips, **recipe), on_epoch=stop_after(3))
    assert scores(fit(job(tmp_path / "cut", clips, **recipe))) == scores(undisturbed)
    same_files(tmp_path / "cut", tmp_path / "undisturbed")


def test_the_rate_of_every_epoch_is_recorded_drawn_and_said(clips, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="tasks.model"):
        outcome = fit(job(tmp_path, clips, learning_rate=0.01, warmup_epochs=1, epochs=4, schedule="step", step_epochs=2, layer_decay=0.5))
    assert rates(outcome) == pytest.approx([1e-4, 0.01, 0.01, 1e-3])
    assert list(curves(tmp_path)["learning_rate"].values()) == pytest.approx(rates(outcome))
    said = [record.getMessage() for record in caplog.records if record.name == "tasks.model.epochs"]
    assert [line.split("learning rate ")[1].split(";")[0] for line in said] == ["0.0001", "0.01", "0.01", "0.001"]


def test_a_constant_rate_is_not_said(clips, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, logger="tasks.model"):
        outcome = fit(job(tmp_path, clips, epochs=2))
    assert rates(outcome) == [1e-3, 1e-3]
    assert "learning rate" not in caplog.text


def test_a_plateau_lowers_the_rate_after_the_validation_that_ends_it(clips, tmp_path: Path):
    outcome = fit(job(tmp_path, clips, **RECIPES["plateau"]))
    expected, rate, best, num_epochs = [], 0.03, float("inf"), 6
    for record in outcome.history:
        expected.append(rate)
        if record.val:
            rate *= 1 if record.val.loss < best else 0.5
            best = min(best, record.val.loss)
    assert rates(outcome) == expected
    assert len(set(expected)) > 1 and len(expected) == num_epochs


def test_the_last_stage_and_the_heads_are_all_that_changes(clips, tmp_path: Path):
    choice = {"trainable": "last-stage", "batch_norm": "train", "ema_decay": 0.5, "weight_decay": 0.1, "learning_rate": 0.01}
    outcome = fit(job(tmp_path, clips, **choice))
    before, after = Network(job(tmp_path, clips).network.spec, seed=1).state_dict(), state_of(outcome)
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert {name for name in after if name.startswith(("backbone.layer4", "head"))} == changed


def test_layer_decay_moves_each_stage_by_its_share_of_what_it_would_move(clips, tmp_path: Path):
    def moved(layer_decay: float) -> dict[str, float]:
        """How far one step of gradient descent moves each part, from the image to the heads."""
        planned = job(tmp_path / str(layer_decay), clips, **SGD, **EXACT, batch_size=4, epochs=1, layer_decay=layer_decay)
        before = {name: tensor.clone() for name, tensor in planned.network.named_parameters()}
        fit(planned)
        squares: Counter[str] = Counter()
        for name, tensor in planned.network.named_parameters():
            squares[name.removeprefix("backbone.").split(".")[0]] += float((tensor - before[name]).detach().square().sum())
        return {part: math.sqrt(squares[part]) for part in ("conv1", "layer1", "layer2", "layer3", "layer4", "head")}

    alike, decayed = moved(1), moved(0.5)
    assert min(alike.values()) > 0
    assert [decayed[part] / alike[part] for part in alike] == pytest.approx([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1], rel=1e-2)


def test_smoothing_and_weights_are_of_the_training_loss_alone(clips, tmp_path: Path):
    plain, smoothed = (
        fit(job(tmp_path / str(smoothing), clips, label_smoothing=smoothing, **STILL)).history[0] for smoothing in (0.0, 0.5)
    )
    assert smoothed.val == plain.val
    assert smoothed.train.loss != plain.train.loss
    assert smoothed.train.verb_loss + smoothed.train.noun_loss == pytest.approx(smoothed.train.loss)


def outspoken(planned: TrainJob) -> TrainJob:
    with torch.no_grad():
        for head in (planned.network.head.fc_verb, planned.network.head.fc_noun):
            head.weight.mul_(1000)
    return planned


def test_class_weights_make_the_known_loss(clips, tmp_path: Path):
    planned = outspoken(job(tmp_path, clips, class_weights="balanced", **STILL))
    verbs, nouns = torch.tensor([clip.verb for clip in planned.train]), torch.tensor([clip.noun for clip in planned.train])
    assert balanced_weights(verbs, 5).tolist() == pytest.approx([4 / 3 / 2, 4 / 3, 4 / 3, 0, 0])
    shown = ClipDataset(planned.train, planned.network.spec, lambda view: view.images(planned.network.spec), seed=0)
    module = ActionModule(planned.network, planned.options, planned.train).eval()
    with torch.no_grad():
        logits = module.answer(module.see(torch.stack([shown[ClipKey(0, number)].inputs for number in range(4)])))
        losses = CrossEntropies()(logits, verbs, nouns)
    expected = float((losses.verb * balanced_weights(verbs, 5)[verbs]).mean())
    assert abs(expected - float(losses.verb.mean())) > 0.01
    assert fit(planned).history[0].train.verb_loss == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("heads", [False, True], ids=["whole", "heads"])
def test_mixup_trains_on_what_is_mixed_and_validates_on_what_is_not(heads, clips, tmp_path: Path):
    def planned(name: str, **choice) -> TrainJob:
        return outspoken(job(tmp_path / name, clips, batch_size=4, trainable="heads" if heads else "all", **STILL, **choice))

    mixed = planned("mixed", mixup=0.8)
    shown = ClipDataset(mixed.train, mixed.network.spec, lambda view: view.images(mixed.network.spec), seed=0)
    batch = default_collate([shown[key] for key in shown.keys(0)])
    module = ActionModule(mixed.network, mixed.options, mixed.train).eval()
    mix = Mixup(0.8, 0).draw(0, 0, batch)
    with torch.no_grad():
        # What is mixed is the image, normalised, or the feature where the heads alone train.
        losses = mix.losses(CrossEntropies(), module.answer(mix.inputs(module.see(batch.inputs))), batch)
    plain, found = (fit(each).history[0] for each in (planned("plain"), mixed))
    assert found.train.loss == pytest.approx(float(losses.total.mean()), rel=2e-5)
    assert abs(found.train.loss - plain.train.loss) > 5e-4
    assert found.val == plain.val


class Watched(list):
    """Clips that note which of them are asked for."""

    def __init__(self, clips: list[CachedClip]) -> None:
        super().__init__(clips)
        self.asked: list[int] = []

    def __getitem__(self, key):
        if isinstance(key, int):
            self.asked.append(key)
        return super().__getitem__(key)


def test_a_balanced_sampler_shows_a_rare_action_as_often_as_a_common_one(clips, tmp_path: Path):
    rare = [replace(clip, verb=int(number == 3), noun=0) for number, clip in enumerate(clips[:4])]
    planned = replace(job(tmp_path, clips, sampler="balanced", epochs=3), train=Watched(rare))
    fit(planned)
    epochs = [Counter(planned.train.asked[4 * epoch : 4 * epoch + 4]) for epoch in range(3)]
    assert [times[3] for times in epochs] == [2, 2, 2]
    assert len(planned.train.asked) == 12


@pytest.mark.parametrize("heads", [False, True], ids=["whole", "heads"])
def test_batches_of_a_step_are_as_one_larger_batch(heads, clips, tmp_path: Path):
    def trained(name: str, batch_size: int, accumulate_batches: int) -> dict[str, torch.Tensor]:
        choice = {**SGD, **EXACT, "batch_size": batch_size, "accumulate_batches": accumulate_batches, "epochs": 2}
        planned = kept_job(tmp_path / name, clips, tmp_path / "kept", **choice) if heads else job(tmp_path / name, clips, **choice)
        return state_of(fit(replace(planned, train=clips[:5])))

    whole, smaller = trained("whole", 4, 1), trained("smaller", 2, 1)
    assert any((tensor - smaller[name]).abs().max() > 1e-4 for name, tensor in whole.items() if tensor.is_floating_point())
    for name, *sizes in (("halves", 2, 2), ("quarters", 1, 4)):
        for key, tensor in trained(name, *sizes).items():
            torch.testing.assert_close(tensor, whole[key], rtol=1e-4, atol=1e-6, msg=key)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("heads", [False, True], ids=["whole", "heads"])
def test_a_step_is_no_longer_than_the_clipped_gradient(heads, precision, clips, tmp_path: Path):
    choice = {**SGD, "batch_size": 4, "epochs": 1, "clip_norm": 0.01, "precision": precision}
    planned = kept_job(tmp_path, clips, tmp_path / "kept", **choice) if heads else job(tmp_path, clips, **choice)
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


def test_the_decay_rises_to_what_was_asked_for():
    assert [decay_after(0.9, n) for n in (1, 8, 80, 81, 1000)] == pytest.approx([2 / 11, 0.5, 0.9, 0.9, 0.9])


def test_heads_learn_alike_through_the_backbone_and_on_kept_features_by_any_recipe(clips, tmp_path: Path):
    choice = RECIPES["cosine"]
    kept = fit(kept_job(tmp_path / "kept", clips, tmp_path / "features", **choice))
    through = fit(job(tmp_path / "through", clips, trainable="heads", feature_variants=2, **choice))
    assert figures(kept) == pytest.approx(figures(through), rel=1e-5)
    theirs = state_of(through)
    for name, tensor in state_of(kept).items():
        torch.testing.assert_close(tensor, theirs[name], msg=name)


def test_kept_features_of_other_augmentations_are_others(clips, tmp_path: Path):
    def kept_after(name: str, **choice) -> set[str]:
        fit(kept_job(tmp_path / name, clips, tmp_path / "features", epochs=2, **choice))
        return {path.name for path in (tmp_path / "features").rglob("*.npy")}

    plain = kept_after("plain")
    assert kept_after("again", optimizer="sgd", schedule="cosine", mixup=0.2, ema_decay=0.9, label_smoothing=0.1) == plain
    crops = kept_after("crops", crop="multi-scale")
    colours = kept_after("colours", crop="multi-scale", color_jitter=0.4)
    assert (len(plain), len(crops), len(colours)) == (4 * 2 + 2, 4 * 4 + 2, 4 * 6 + 2)


def test_mixup_that_several_processes_have_no_pairs_for_is_refused(clips, tmp_path: Path):
    with pytest.raises(BadConfiguration, match="set batch_size to 4 or more"):
        fit(replace(job(tmp_path, clips, mixup=0.2), devices=2))


def test_the_heads_of_a_module_are_trained_under_its_recipes_weights(clips, tiny_network):
    options = job(Path(), clips, class_weights="balanced", label_smoothing=0.2, mixup=0.3, trainable="heads").options
    module = HeadModule(tiny_network, options, clips)
    assert module.train_losses.label_smoothing == 0.2
    assert module.train_losses.noun_weights.tolist() == pytest.approx([1, 1, 0, 0])


@pytest.fixture(scope="module")
def coloured(tmp_path_factory) -> list[CachedClip]:
    """Clips whose verb is their colour and whose noun is their brightness, each of 4 actions 3 times."""
    folder, rng, made = tmp_path_factory.mktemp("coloured"), np.random.default_rng(0), []
    for number in range(12):
        verb, noun = number % 2, number // 2 % 2
        colour = np.array([[200, 40, 40], [40, 40, 200]][verb]) // (3 if noun else 1)
        frames = (colour + rng.integers(-20, 20, (4, 256, 256, 3))).clip(0, 255).astype(np.uint8)
        np.save(folder / f"c{number}.npy", frames)
        made.append(CachedClip(folder / f"c{number}.npy", verb, noun))
    return made


@pytest.mark.parametrize(
    ("optimizer", "rate", "schedule"),
    [("adam", 0.02, "constant"), ("adamw", 0.02, "cosine"), ("sgd", 0.3, "step"), ("sgd", 0.3, "plateau")],
)
def test_every_optimizer_learns_and_by_every_schedule(optimizer, rate, schedule, coloured, tmp_path: Path, tmp_path_factory):
    choice = {
        "optimizer": optimizer, "learning_rate": rate, "schedule": schedule, "epochs": 30, "batch_size": 4, "step_epochs": 10,
        "decay_factor": 0.5, "plateau_validations": 2, "weight_decay": 1e-3,
    }  # fmt: skip
    planned = kept_job(tmp_path, coloured, tmp_path_factory.getbasetemp() / "coloured-features", **choice)
    outcome = fit(replace(planned, train=coloured[:8], val=coloured[8:]))
    assert outcome.history[0].train.action_top1 < 1
    assert outcome.history[-1].val.action_top1 == 1
    assert outcome.history[-1].val.loss < 0.7 * outcome.history[0].val.loss
