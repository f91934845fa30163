import pytest

from tasks.errors import BadInput
from tasks.evaluation.decision import contenders, decide


@pytest.fixture(scope="module")
def make(make_result):
    """Scores whose action top-1 and majority class are as told."""

    def build(model, split, top1, majority=0.1):
        result = make_result(model=model, split=split)
        return result.model_copy(update={"action": result.action.model_copy(update={"top1": top1, "majority_top1": majority})})

    return build


def test_a_higher_score_wins(make):
    decision = decide(make("fine-tuned", "val", 0.5), make("baseline", "val", 0.45))
    assert decision.promote
    assert (decision.split, decision.opponent, decision.challenger_top1, decision.opponent_top1) == ("val", "baseline", 0.5, 0.45)
    assert "50.0 %, is higher than the baseline's, 45.0 %" in decision.reason
    assert "Warning" not in decision.reason


def test_a_tie_keeps_the_champion(make):
    decision = decide(make("fine-tuned", "val", 0.5), make("champion", "val", 0.5))
    assert not decision.promote
    assert "equals the champion's" in decision.reason
    assert decision.reason.endswith("; the champion stays")


def test_a_lower_score_than_the_baseline_names_no_champion(make):
    decision = decide(make("fine-tuned", "val", 0.3), make("baseline", "val", 0.5))
    assert not decision.promote
    assert "is lower than the baseline's" in decision.reason
    assert "no champion is named" in decision.reason


@pytest.mark.parametrize("majority", [0.5, 0.6])
def test_a_winner_that_guessing_matches_is_warned_of(make, majority):
    decision = decide(make("fine-tuned", "val", 0.5, majority), make("baseline", "val", 0.1, majority))
    assert decision.promote
    assert f"scores {majority:.0%}".rstrip("%") in decision.reason
    assert "Warning: always guessing" in decision.reason


def test_the_test_split_decides_where_it_exists_and_the_champion_is_the_opponent(make):
    results = [make(model, split, 0.4) for split in ("train", "val", "test") for model in ("baseline", "champion", "fine-tuned")]
    ours, theirs = contenders(results)
    assert (ours.split, ours.model, theirs.model) == ("test", "fine-tuned", "champion")
    ours, theirs = contenders([r for r in results if r.split != "test" and r.model != "champion"])
    assert (ours.split, theirs.model) == ("val", "baseline")


def test_nothing_to_compare_is_refused(make):
    with pytest.raises(BadInput, match="run `evaluate` for both"):
        contenders([make("fine-tuned", "val", 0.4), make("baseline", "train", 0.4)])


@pytest.mark.parametrize("field", ["split", "num_clips", "num_sources", "crops"])
def test_scores_of_other_clips_are_refused(make, field):
    other = make("champion", "val", 0.4).model_copy(update={field: "test" if field == "split" else 1})
    with pytest.raises(BadInput, match=field):
        decide(make("fine-tuned", "val", 0.5), other)


def test_a_network_is_not_its_own_opponent(make):
    with pytest.raises(BadInput, match="own opponent"):
        decide(make("fine-tuned", "val", 0.5), make("fine-tuned", "val", 0.4))
