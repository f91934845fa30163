import re

import pytest

from tasks.judge.gate.verdict import consequence_in_words, guessing_caveat, majority_warning, verdict_on, why
from tests.judge.gate.conftest import difference, spread_of


@pytest.fixture
def verdict(scored):
    """The verdict and its reasons on 100 clips of 10 videos, where the champion classifies 40 % of the actions correctly."""

    def build(num_gained, num_lost, interval, *, num_sources=10, needed=None, min_clips=0, **majority):
        paired = difference(num_gained, num_lost, interval, num_sources=num_sources, num_clips_needed=needed)
        majorities = {"verb": 0.1, "noun": 0.1, "action": 0.1} | majority
        top1 = {"verb": 0.6, "noun": 0.7, "action": 0.4 + paired.difference}
        ours, theirs = scored(top1, 0.4, majority=majorities, split="test")
        beats_guessing = ours.action.top1 - ours.action.majority_top1 > 0.1
        return f"{verdict_on(ours, theirs, paired)} {why(ours, theirs, paired, beats_guessing=beats_guessing, min_clips=min_clips)}"

    return build


def test_a_sure_gain(verdict):
    assert verdict(15, 5, (0.021, 0.18)) == (
        "Better than the champion: 50.0 % of the actions are right, 40.0 % by the champion, on 100 test clips. On 100 test clips of 10 source videos the new network classifies 50.0 % of the actions correctly, "
        "10.0 points more than the champion (40.0 %; 95 % confidence interval of the difference [2.1, 18.0]); "
        "always predicting 'common action' gives less, 10.0 %."
    )


GAIN, UNSURE, FEW = (15, 5, (0.02, 0.18)), (8, 5, (-0.04, 0.1)), "Too little data to tell: "
BETTER = "Better than the champion: "
SENTENCES = {
    "a sure loss": ((5, 15, (-0.18, -0.02)), {}, "Worse than the champion: ", "10.0 points fewer than the champion (40.0 %;"),
    "a tie of few clips": (
        (8, 8, (-0.1, 0.1)),
        {},
        FEW,
        "as many as the champion (95 % confidence interval of the difference [\N{MINUS SIGN}10.0,",
    ),
    "alike": ((2, 1, (-0.03, 0.05)), {}, "Like the champion: ", "the difference [\N{MINUS SIGN}3.0, 5.0]); always"),
    "too few clips": (UNSURE, {"needed": 544}, FEW, "too small to tell: about 550 test clips of about 55 source videos would be needed;"),
    "the gate asks for more": (UNSURE, {"needed": 544, "min_clips": 600}, FEW, ": about 600 test clips of about 60 source"),
    "one video": ((30, 5, (-1, 1)), {"needed": 400, "num_sources": 1}, FEW, "; one source video is not enough to tell;"),
    "nouns are guessed as well": (GAIN, {"noun": 0.7}, BETTER, "of the nouns correctly, the same as always predicting 'common noun'."),
    "not surely better than guessing": (GAIN, {"action": 0.45}, BETTER, "less, 45.0 %, but the data is too small to be sure of it."),
}


@pytest.mark.parametrize(("numbers", "changes", "outcome", "reason"), SENTENCES.values(), ids=SENTENCES)
def test_the_sentence_begins_with_the_outcome_and_gives_its_reason(verdict, numbers, changes, outcome, reason):
    sentence = verdict(*numbers, **changes)
    assert sentence.startswith(outcome)
    assert reason in sentence


@pytest.mark.parametrize(
    ("top1", "begins"), [(1.0, "Too easy to tell, neither makes a mistake: 100.0 %"), (0.9, "Too little data to tell: 90.0 %")]
)
def test_two_faultless_networks_are_not_said_to_lack_data(scored, top1, begins):
    tie = difference(0, 0, (-0.2, 0.2))
    assert verdict_on(*scored(top1, top1), tie).startswith(begins)


@pytest.mark.parametrize("majority", [0.5, 0.6])
def test_guessing_as_well_comes_first_whoever_wins(verdict, majority):
    sentence = verdict(15, 5, (0.02, 0.18), action=majority)
    assert sentence.startswith("No better than guessing: ")
    assert sentence.endswith(f"; always predicting 'common action' gives {100 * majority:.1f} %.")
    assert "less" not in sentence


def test_guessing_is_compared_with_the_registered_network_and_not_with_the_mean_over_seeds(scored):
    paired = difference(3, 4, (-0.1, 0.08))
    ours, theirs = scored({"verb": 0.6, "noun": 0.7, "action": 0.5}, 0.4, majority={"verb": 0.1, "noun": 0.1, "action": 0.4}, split="test")
    reasons = why(ours, theirs, paired, spread_of({0: 0.5, 1: 0.28}, paired), beats_guessing=False)
    assert "of 2 seeds classify 39.0 % of the actions correctly on average" in reasons
    assert "The registered network classifies 50.0 % correctly; always predicting 'common action' gives less, 40.0 %" in reasons


@pytest.mark.parametrize(
    ("top1", "told", "warned", "in_table"),
    [
        (
            1.0,
            "the network classifies 100.0 % of the verbs correctly, and 'common verb' is the only one",
            "'common verb' is the only verb",
            "the same as always predicting 'common verb', the only class here",
        ),
        (
            0.9,
            "the network classifies only 90.0 % of the verbs correctly, against 100.0 % for always predicting 'common verb'",
            "no better than always predicting 'common verb' (100.0 % of verbs)",
            "below always predicting 'common verb' (100.0 %)",
        ),
    ],
)
def test_where_one_class_is_all_there_is_no_score_of_it_is_called_low(scored, top1, told, warned, in_table):
    ours, theirs = scored({"verb": top1, "noun": 0.7, "action": 0.5}, 0.4, majority={"verb": 1.0, "noun": 0.1, "action": 0.1})
    assert why(ours, theirs, difference(*GAIN), beats_guessing=True).endswith(f"; {told}.")
    assert guessing_caveat(ours) == warned
    assert majority_warning(ours.verb) == in_table


NOT_PASSED = {"passed": False, "may_be_provisional": False, "faces_champion": False, "champion_is_provisional": False}
GATES = {
    "passed": NOT_PASSED | {"passed": True, "faces_champion": True},
    "may become the provisional champion": NOT_PASSED | {"may_be_provisional": True},
    "against a provisional champion": NOT_PASSED | {"faces_champion": True, "champion_is_provisional": True},
    "against a champion": NOT_PASSED | {"faces_champion": True},
    "against the baseline": NOT_PASSED,
}


@pytest.mark.parametrize(
    ("gate", "promotion", "became_champion", "outcome"),
    [
        ("passed", "auto", None, "All rules passed: it is promoted if the champion is still the same."),
        ("passed", "auto", True, "All rules passed: it became the champion."),
        ("passed", "approve", False, "All rules passed, and it was not promoted."),
        ("passed", "never", False, "All rules passed: it is registered but not promoted (promotion=never)."),
        ("may become the provisional champion", "approve", True, "Not all rules passed: it became the provisional champion."),
        ("against a champion", "auto", False, "Not promoted: the champion stays."),
    ],
)
def test_the_outcome_says_what_will_be_and_once_it_is_decided_what_is(gate, promotion, became_champion, outcome):
    assert consequence_in_words(promotion, **GATES[gate], became_champion=became_champion) == outcome


@pytest.mark.parametrize(("numbers", "majority"), [(GAIN, 0.1), ((5, 15, (-0.18, -0.02)), 0.1), (UNSURE, 0.1), (UNSURE, 0.9)])
@pytest.mark.parametrize("has_seeds", [False, True])
@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
@pytest.mark.parametrize("promotion", ["auto", "approve", "never"])
def test_verdict_and_outcome_have_50_words_and_three_figures_at_most(scored, numbers, majority, gate, promotion, has_seeds):
    if gate["may_be_provisional"] and promotion == "never":
        return
    paired = difference(*numbers)
    ours, theirs = scored(0.4 + paired.difference, 0.4, majority=majority)
    outcome = consequence_in_words(promotion, **gate)
    spread = spread_of(dict.fromkeys(range(5), ours.action.top1), paired) if has_seeds else None
    text = f"{verdict_on(ours, theirs, paired, spread)} {outcome}"
    assert len(re.findall(r"\w[\w.,'-]*", text)) <= 50
    assert len(re.findall(r"\d[\d.,]*", text)) == 3


def test_a_name_stays_within_the_sentence(make_result):
    action = make_result().action.model_copy(update={"majority_class": "a\n" + "b" * 300, "majority_top1": 1.0})
    caveat = guessing_caveat(make_result().model_copy(update={"action": action}))
    assert "\n" not in caveat
    assert len(caveat) < 200
