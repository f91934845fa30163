import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.judge.search.suggest import batches_of, history_digest, num_suggested, pareto_front
from tasks.judge.search.trials import best_first, num_hours, scored, values_in_words
from tasks.options import LIGHT, SearchOptions
from tasks.store.records.search import ScoredTrial, Trial, TrialScore
from tasks.store.records.training import Epoch
from tests.judge.search.trials import clip, trial

EPOCH = Epoch(epoch=1, train_loss=1, val_loss=1, val_verb_top1=0, val_noun_top1=0, val_action_top1=0)


def score(right: str, loss: float = 1.0, num_epochs: int = 1) -> TrialScore:
    return TrialScore(
        run_key="k",
        epochs=(EPOCH.model_copy(update={"epoch": num_epochs - 1}),),
        seconds=2,
        loss=loss,
        right={"verb": "1" * len(right), "action": right},
    )


def test_folds_count_by_their_clips_and_one_video_says_nothing():
    clips = [[clip("a", "x"), clip("b", "x"), clip("c", "y")], [clip("d", "z")]]
    of_folds = scored(trial(), [score("110", loss=1.0), score("0", loss=3.0, num_epochs=2)], clips, "action")
    assert of_folds.scores["action"].top1 == 0.5
    assert of_folds.loss == pytest.approx(1.5)
    assert of_folds.seconds == 4
    assert of_folds.num_epochs == 2
    assert of_folds.fold_top1 == (pytest.approx(2 / 3), 0)
    of_one_source = scored(trial(), [score("1100")], [[clip(uid, "x") for uid in "abcd"]], "action")
    assert of_one_source.scores["action"].interval == (0, 1)


def test_a_tie_goes_to_the_lower_loss_and_then_to_the_earlier_trial():
    trials = [trial(0, 0.5, loss=2), trial(1, 0.5), trial(2, failure="x"), trial(3, 0.5), trial(4, 0.25, loss=0.1)]
    assert [trial.number for trial in best_first(trials, "action")] == [1, 3, 0, 4]


def test_hours_are_those_of_trainings_that_were_not_found():
    assert num_hours([trial(0, seconds=1800), trial(1, seconds=3600, was_found=True), trial(2, failure="x")]) == 0.5


def test_the_pareto_front_has_no_trial_that_another_beats():
    scores = ((0.5, 1.0), (0.6, 2.0), (0.6, 3.0), (0.4, 1.5), (0.5, 1.0))
    trials = [trial(number, top1, latency_seconds=seconds) for number, (top1, seconds) in enumerate(scores)]
    assert pareto_front([*trials, trial(5, failure="x")], "action") == (0, 1, 4)


def test_values_read_as_options():
    assert values_in_words({"dropout": 0.123456, "schedule": "cosine", "mirror": True}) == "dropout=0.123, schedule=cosine, mirror=True"


@given(num_trials=st.integers(1, 200), rounds=st.integers(1, 8))
def test_the_rounds_have_even_shares_of_all_trials(num_trials, rounds):
    chosen = SearchOptions(num_trials=max(num_trials, rounds), rounds=rounds)
    trials: list[ScoredTrial] = []
    sizes = []
    for number in range(1, rounds + 1):
        sizes.append(num_suggested(chosen, number, len(trials)))
        trials += [trial(len(trials) + i, 0.5) for i in range(sizes[-1])]
    assert sum(sizes) == chosen.num_trials
    assert max(sizes) - min(sizes) <= 1


def test_head_trainings_share_a_task_and_others_have_their_own():
    whole = LIGHT.model_copy(update={"trainable": "all"})
    trials = [Trial(number=i, values={}, options=whole if i % 3 == 0 else LIGHT) for i in range(100)]
    batches = batches_of(trials)
    assert sorted(trial.number for batch in batches for trial in batch) == list(range(100))
    assert [len(batch) for batch in batches] == [64, 2, *[1] * 34]


@pytest.mark.parametrize(("epochs", "sizes"), [(4, [20]), (400, [10, 10]), (4000, [8, 8, 4]), (10_000, [8, 8, 4])])
def test_long_trainings_of_heads_come_in_smaller_batches(epochs, sizes):
    long = LIGHT.model_copy(update={"epochs": epochs})
    assert [len(batch) for batch in batches_of([Trial(number=i, values={}, options=long) for i in range(20)])] == sizes


def test_suggestions_follow_from_results_and_not_from_the_words_of_a_failure():
    known = [trial(0, 0.5), trial(1, 0.5)]
    failed, again = (known[1].model_copy(update={"failure": reason, "scores": {}}) for reason in ("killed", "killed twice"))
    assert history_digest(known) == history_digest(list(known))
    older = known[0].model_copy(update={"options": LIGHT.model_copy(update={"views_seed": 1})})
    assert history_digest(known) == history_digest([older, known[1]]), "as before there was this option"
    assert history_digest([known[0], failed]) == history_digest([known[0], again])
    others = (known, [known[0], failed], known[:1], [], [known[0], trial(1, top1=0.6)])
    assert len({history_digest(other) for other in others}) == len(others)
