"""Recipes by name: saved, shown, and trained with."""

import json

import pytest

from tasks.errors import BadConfiguration
from tasks.options import LIGHT, PRESETS, TrainOptions, with_recipe
from tasks.pipeline._plans import recipe_for
from tasks.store.layout import Layout
from tasks.store.records.search import SearchReportResult
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.retrain.bench import DATASET, TINY
from tests.records import some

SEARCH = f"{STORE}/searches/0123456789abcdef/0123456789ab/"


def test_a_recipe_is_saved_shown_and_replaced_with_a_word(caplog):
    caplog.set_level("INFO")
    bench = Bench()
    saved = bench.run("recipe save", names=["mine"], epochs=6, mirror=False, description="for the left hand").recipes["mine"]
    assert bench.store.objects[f"{STORE}/recipes/mine.json"] == (
        b'{"description":"for the left hand","options":{"epochs":6,"mirror":false}}\n'
    )
    bench.store.write_bytes(f"{STORE}/recipes/old.json", b'{"options":{"depth":3}}')
    shown = bench.run("recipe list").recipes
    assert list(shown) == ["auto", "none", *PRESETS, "mine"]
    assert "recipes/old.json is not a Recipe" in caplog.text
    bench.run("recipe save", names=["old"], epochs=7)
    assert (shown["mine"], shown["light"].options) == (saved, LIGHT)
    assert "mine (for the left hand): epochs=6, mirror=False" in caplog.text
    bench.run("recipe save", names=["mine"])
    assert "recipe mine was: epochs=6, mirror=False" in caplog.text
    assert bench.run("recipe show", names=["mine"]).recipes["mine"].options == TrainOptions()
    assert "mine: the defaults" in caplog.messages
    assert recipe_for("mine", TrainOptions(epochs=6), 1, STORE, bench.store)[1] == "recipe mine, which sets nothing; with epochs=6"


def test_the_winner_of_a_search_is_saved_where_the_search_lies_with_the_options_that_are_given():
    bench = Bench()
    winner = TrainOptions(epochs=6, batch_size=4, warmup_epochs=2)
    bench.store.write(f"{SEARCH}report/result.json", some(SearchReportResult, key="k", winner=winner))
    saved = bench.run("recipe save", names=["best"], search=SEARCH, batch_size=8, store=None).recipes["best"]
    assert (saved.options, saved.description) == (winner.model_copy(update={"batch_size": 8}), "winner of search k")
    assert bench.run("recipe show", names=["best"]).recipes["best"] == saved
    with pytest.raises(BadConfiguration, match="a warm-up of 2 epochs leaves none of 2"):
        bench.run("recipe save", names=["best"], search=SEARCH, epochs=2)
    written = json.loads(bench.store.read_bytes(f"{SEARCH}report/result.json"))
    written["winner"]["mixup"] = 0.2
    bench.store.write_bytes(f"{SEARCH}report/result.json", json.dumps(written).encode())
    with pytest.raises(BadConfiguration, match=r"the winner of search k is .* removed: mixup=0\.2; start anew"):
        bench.run("recipe save", names=["best"], search=SEARCH)


def test_a_recipe_that_asks_for_what_is_gone_is_shown_and_not_trained(verbs):
    verbs.store.write_bytes(
        f"{STORE}/recipes/older.json", b'{"options": {"epochs": 6, "mixup": 0.2, "schedule": "step"}, "description": ""}'
    )
    shown = verbs.run("recipe show", names=["older"]).recipes["older"].options
    assert (shown.epochs, shown.gone) == (6, {"mixup": 0.2, "schedule": "step"})
    with pytest.raises(
        BadConfiguration, match=r"recipe older is from an earlier version, with options that were removed: mixup=0\.2, schedule=step;"
    ):
        verbs.run("weights", preset="older", out=f"{STORE}/w/", dataset=DATASET)


@pytest.mark.parametrize(
    ("step", "options", "told"),
    [
        ("recipe save", {"names": ["light"]}, "light comes with the code; choose another name"),
        ("recipe save", {"names": ["auto"]}, "auto comes with the code"),
        ("recipe save", {"names": ["x"], "checkpoint": "https://me:pw@h/x"}, "would show the password"),
        ("recipe show", {"names": ["mein"]}, r"has no recipe mein; did you mean mine\? There are auto, none, original, .*, long, mine$"),
        ("weights", {"preset": "mein", "out": f"{STORE}/w/", "dataset": DATASET}, r"did you mean mine\?"),
        (
            "weights",
            {"preset": "mine", "out": f"{STORE}/w/", "dataset": DATASET, "validate_every": 7},
            "preset mine: validate_every 7 is more than 6",
        ),
    ],
)
def test_what_cannot_be_saved_or_found_is_refused(verbs, step, options, told):
    verbs.run("recipe save", names=["mine"], epochs=6)
    with pytest.raises(BadConfiguration, match=told):
        verbs.run(step, **options)


def test_a_recipe_with_values_of_the_form_trains_what_these_options_train(verbs):
    verbs.run("recipe save", names=["mine"], **{name: TINY[name] for name in ("backbone", "weights", "num_segments", "epochs")})
    out, given = f"{STORE}/w/", {"batch_size": 2, "learning_rate": 1e-3}
    chosen = verbs.run("weights", out=out, preset="mine", **given, dataset=DATASET).chosen
    sets = "backbone=test_resnet, num_segments=2, epochs=1, weights=none"
    assert chosen == f"recipe mine, which sets {sets}; with batch_size=2, learning_rate=0.001"
    planned = verbs.run("plan", weights_result=out, preset="mine", **given, dataset=DATASET)
    assert planned.run_key == verbs.decide().run_key
    assert planned.weights.chosen == chosen
    summed = verbs.store.read(Layout(STORE).status.of_model(planned.model_name).training)
    assert (summed.run_key, summed.num_train_clips, summed.dataset) == (planned.run_key, 4, planned.dataset_digest)
    assert "epochs=1" in summed.recipe, "that of the form, which was planned last"


def test_weights_of_the_form_leave_out_the_checkpoint_of_a_recipe():
    options = with_recipe(
        TrainOptions(weights="trained", checkpoint="runs/0123456789abcdef/", backbone="resnet50"), {"weights": "imagenet"}
    )
    assert (options["weights"], options["checkpoint"], options["backbone"]) == ("imagenet", None, "resnet50")


@pytest.mark.parametrize("name", PRESETS)
def test_what_a_form_resolved_is_resolved_again_to_the_same(name):
    once = recipe_for(name, TrainOptions(epochs=8, weights="none"), 0, STORE, Bench().store)[0]
    assert recipe_for(name, once, 0, STORE, Bench().store)[0] == once


def test_the_start_of_a_recipe_is_left_out_where_the_form_names_another():
    bench = Bench()
    bench.run("recipe save", names=["mine"], checkpoint="models:/meals@champion", epochs=6)
    own = recipe_for("mine", TrainOptions(backbone="resnet18"), 0, STORE, bench.store)[0]
    assert own == TrainOptions(backbone="resnet18", epochs=6)
