import pytest

from tasks.judge.search.scores import best_first, finalists, longest_of_each, num_hours, scored, values_in_words
from tasks.judge.search.suggest import pareto_front
from tasks.options import SearchOptions
from tasks.store.records.search import TrialScore
from tasks.store.records.training import Epoch
from tests.judge.search.trials import clip, trial

EPOCH = Epoch(epoch=1, train_loss=1, val_loss=1, val_verb_top1=0, val_noun_top1=0, val_action_top1=0)


def score(right: str, loss: float = 1.0, num_epochs: int = 1) -> TrialScore:
    return TrialScore(
        run_key="k",
        epochs=(EPOCH.model_copy(update={"epoch": num_epochs - 1}),),
        best_epoch=num_epochs - 1,
        seconds=2,
        loss=loss,
        right={"verb": "1" * len(right), "action": right},
    )


def test_folds_count_by_their_clips():
    clips = [[clip("a", "x"), clip("b", "x"), clip("c", "y")], [clip("d", "z")]]
    found = scored(trial(), [score("110", loss=1.0), score("0", loss=3.0, num_epochs=2)], clips, "action")
    assert found.scores["action"].top1 == 0.5
    assert found.loss == pytest.approx(1.5)
    assert found.seconds == 4
    assert found.num_epochs == 2
    assert found.fold_top1 == (pytest.approx(2 / 3), 0)


def test_an_interval_over_few_videos_is_wide():
    of_one_source = scored(trial(), [score("1100")], [[clip(uid, "x") for uid in "abcd"]], "action")
    assert of_one_source.scores["action"].interval == (0, 1)


def test_a_tie_goes_to_the_lower_loss_and_then_to_the_earlier_trial():
    trials = [trial(0, 0.5, loss=2), trial(1, 0.5), trial(2, failure="x"), trial(3, 0.5), trial(4, 0.25, loss=0.1)]
    assert [one.number for one in best_first(trials, "action")] == [1, 3, 0, 4]


def test_with_halving_only_the_last_rung_may_win():
    trials = [trial(0, 0.9), trial(1, 0.5), trial(2, 0.6, round=2), trial(3, round=3, failure="x")]
    assert [one.number for one in finalists(trials, SearchOptions(halving=True))] == [2]
    assert len(finalists(trials, SearchOptions())) == 4


def test_each_recipe_is_compared_by_its_longest_training():
    rungs = [
        trial(0, 0.9, values={"dropout": 0.1}),
        trial(1, 0.5, values={"dropout": 0.2}),
        trial(2, 0.6, values={"dropout": 0.1}, round=2),
    ]
    failed = trial(3, values={"dropout": 0.2}, round=2, failure="x")
    assert [one.number for one in longest_of_each([*rungs, failed])] == [1, 2]


def test_hours_are_those_of_trainings_that_were_not_found():
    assert num_hours([trial(0, seconds=1800), trial(1, seconds=3600, was_found=True), trial(2, failure="x")]) == 0.5


def test_the_pareto_front_has_no_trial_that_another_beats():
    trials = [
        trial(0, 0.5, latency_seconds=1.0),
        trial(1, 0.6, latency_seconds=2.0),
        trial(2, 0.6, latency_seconds=3.0),
        trial(3, 0.4, latency_seconds=1.5),
        trial(4, 0.5, latency_seconds=1.0),
        trial(5, failure="x"),
    ]
    assert pareto_front(trials, "action") == (0, 1, 4)


def test_values_read_as_options():
    assert values_in_words({"dropout": 0.123456, "schedule": "cosine", "mirror": True}) == "dropout=0.123, schedule=cosine, mirror=True"
