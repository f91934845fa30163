import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadConfiguration
from tasks.judge.search.rounds import batches_of, history_digest, num_left, num_suggested, promote, require_resumable, rung_epochs
from tasks.judge.search.space import Space
from tasks.options import LIGHT, SearchOptions
from tasks.store.records.search import ScoredTrial, Trial
from tests.judge.search.trials import trial


@given(num_trials=st.integers(1, 200), rounds=st.integers(1, 8))
def test_the_rounds_have_even_shares_of_all_trials(num_trials, rounds):
    chosen = SearchOptions(num_trials=max(num_trials, rounds), rounds=rounds)
    trials: list[ScoredTrial] = []
    sizes = []
    for number in range(1, rounds + 1):
        sizes.append(num_suggested(chosen, number, trials))
        trials += [trial(len(trials) + i, 0.5) for i in range(sizes[-1])]
    assert sum(sizes) == chosen.num_trials
    assert max(sizes) - min(sizes) <= 1


def test_a_spent_budget_ends_the_search_and_a_small_rest_shortens_a_round():
    chosen = SearchOptions(num_trials=30, rounds=3, budget_hours=1)
    assert num_suggested(chosen, 2, [trial(i, 0.5, seconds=360) for i in range(10)]) == 0
    assert num_suggested(chosen, 2, [trial(i, 0.5, seconds=300) for i in range(10)]) == 2
    assert num_suggested(chosen, 2, [trial(i, 0.5, seconds=1) for i in range(10)]) == 10


def test_one_in_three_trials_of_a_rung_goes_on_for_three_times_as_many_epochs():
    chosen = SearchOptions(halving=True, rounds=3, num_trials=9)
    assert [rung_epochs(chosen, 27, number) for number in (1, 2, 3)] == [3, 9, 27]
    kept = promote(chosen, 27, 2, [trial(i, top1=i / 10) for i in range(9)], "action")
    assert [(one.number, options.epochs) for one, options in kept] == [(8, 9), (7, 9), (6, 9)]


def test_the_rest_of_a_search_with_rungs_is_what_the_later_rungs_train():
    chosen = SearchOptions(halving=True, rounds=3, num_trials=9)
    first = [trial(i, 0.5) for i in range(9)]
    assert num_left(chosen, 1, first) == 3 + 1
    assert num_left(chosen, 2, [*first, *(trial(9 + i, 0.5, round=2) for i in range(3))]) == 1
    assert num_left(SearchOptions(num_trials=24), 1, first) == 15


@pytest.mark.parametrize(("option", "epochs", "reason"), [("schedule", 27, "cosine falls to 0"), ("dropout", 2, "raise epochs")])
def test_halving_refuses_a_schedule_that_depends_on_the_total_and_rungs_of_equal_length(option, epochs, reason):
    chosen = SearchOptions(halving=True, search=[option])
    with pytest.raises(BadConfiguration, match=reason):
        require_resumable(chosen, Space.of(chosen, LIGHT.model_copy(update={"epochs": epochs}), 8))


def test_head_trainings_share_a_task_and_others_have_their_own():
    whole = LIGHT.model_copy(update={"trainable": "all"})
    trials = [Trial(number=i, values={}, options=whole if i % 3 == 0 else LIGHT) for i in range(100)]
    batches = batches_of(trials)
    assert sorted(one.number for batch in batches for one in batch) == list(range(100))
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
    assert len({history_digest(one) for one in others}) == len(others)
