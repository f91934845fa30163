import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.judge.gate.gate import attempt_in_words, contenders, judge
from tasks.judge.statistics.metrics import ClassOutcome
from tasks.options import GateOptions
from tasks.store.records.decisions import Attempt
from tasks.store.records.metrics import LabelCount
from tasks.wording import signed
from tests.judge.gate.conftest import difference, guessing, spread_of
from tests.records import some
from tests.scored_clips import ENGINE

RULES = ["engine", "num_clips", "num_sources", "looks", "gain", "guessing", "classes"]


def outcome(num_lost=0, num_gained=0, *, target="verb", name="put", num_clips=20):
    return ClassOutcome(target, name, num_clips, num_gained, num_lost)


def judged(ours, theirs, change=None, outcomes=(), *, margin=0.05, attempt=None, label_noise=0, train_counts=(), **choice):
    """The judgement on a sure gain, unless another change is given."""
    about = {name: choice.pop(name) for name in ("champion_is_provisional", "spread") if name in choice}
    compared = ours, theirs, change or difference(), guessing(ours, margin), outcomes
    return judge(*compared, GateOptions(**choice), attempt or Attempt(), label_noise, train_counts, **about)


def failed(judgement):
    return [rule.rule for rule in judgement.rules if not rule.passed]


def rule_of(judgement, rule):
    return next(r for r in judgement.rules if r.rule == rule)


def test_a_sure_gain_passes_every_rule_unless_labels_were_altered(scored):
    judgement = judged(*scored(), outcomes=[outcome()])
    assert judgement.passed
    assert [rule.rule for rule in judgement.rules] == RULES
    assert judgement.reason == "action top-1 50.0 %, +10.0 points [2.0, 18.0] over the champion, on 100 val clips of 10 source videos"
    altered = judged(*scored(), label_noise=0.2)
    assert failed(altered) == ["labels"]
    assert "20.0 % of the training labels were altered" in altered.reason


def of_seeds(interval, num_gained=36, num_lost=12, engine=ENGINE.label):
    """Three seeds of a recipe beside a champion that is right on 40 of 100 clips, their gains summed; the first is registered."""
    change = difference(num_gained, num_lost, interval, num_seeds=3).model_copy(update={"difference": (num_gained - num_lost) / 300})
    return spread_of({5: 0.5, 6: 0.46, 7: 0.48}, change, engine)


@pytest.mark.parametrize(
    ("interval", "own", "failing"), [((0.01, 0.15), (20, 10), []), ((-0.02, 0.18), (20, 10), ["gain"]), ((0.01, 0.15), (10, 10), ["gain"])]
)
def test_the_mean_of_the_seeds_must_gain_and_the_registered_network_too(scored, interval, own, failing):
    judgement = judged(*scored(), difference(*own), spread=of_seeds(interval))
    assert failed(judgement) == failing
    detail = rule_of(judgement, "gain").detail
    assert detail.startswith("action top-1 on average over 3 seeds +8.0 points [")
    assert f"the registered network gains {signed((own[0] - own[1]) / 100)} by itself" in detail


def test_several_seeds_are_judged_by_their_mean_with_each_score_beside_it_and_all_by_one_engine(scored):
    judgement = judged(*scored(), spread=of_seeds((0.01, 0.15)))
    assert judgement.verdict.startswith("Better than the champion: 48.0 % of the actions are right on average over seeds, 40.0 % by the")
    assert judgement.reason.startswith("action top-1 48.0 % on average over 3 seeds, +8.0 points [1.0, 15.0] over the champion, on 100 val")
    assert ". By seed: 50.0 % (seed 5, registered), 46.0 % (seed 6) and 48.0 % (seed 7), standard deviation 2.0 points. " in judgement.why
    assert judgement.why.endswith("The interval is over source videos and seeds.")
    assert "too small to tell: more videos or more seeds would be needed" in judged(*scored(), spread=of_seeds((-0.1, 0.2))).why
    mixed = judged(*scored(), spread=of_seeds((0.01, 0.15), engine="openvino float32"))
    assert failed(mixed) == ["engine"]
    assert "seed 5 was scored by openvino float32" in rule_of(mixed, "engine").detail
    guessed = judged(*scored(0.38, 0.4, majority=0.4), spread=of_seeds((0.01, 0.15))).verdict
    assert guessed.startswith("No better than guessing: the registered network names 38.0 % of the actions right, always predicting")


@settings(max_examples=50)
@given(num=st.integers(0, 50), low=st.floats(-1, 1), high=st.floats(-1, 1))
def test_a_tie_never_passes(scored, num, low, high):
    judgement = judged(*scored(0.4, 0.4), difference(num, num, (low, high)))
    assert failed(judgement) == ["gain"]
    assert not judgement.passed
    assert "a tie keeps the champion" in judgement.reason
    assert judgement.reason.endswith(f". {judgement.consequence.rstrip('.')}")
    assert judgement.consequence == "Not promoted: the champion stays."


@pytest.mark.parametrize(
    ("interval", "passes", "words"),
    [((0.001, 0.2), True, "lies above zero"), ((0.0, 0.2), False, "includes zero"), ((-0.2, -0.03), False, "lies below zero")],
)
def test_the_interval_must_lie_above_zero(scored, interval, passes, words):
    gain = rule_of(judged(*scored(), difference(interval=interval)), "gain")
    assert gain.passed == passes
    assert words in gain.detail


def test_where_nothing_is_left_to_risk_no_network_passes(scored):
    judgement = judged(*scored(), attempt=Attempt(spent=0.1, charge=0.0001, is_spent=False, obstacle="wait until Monday"))
    assert (failed(judgement), judgement.passed) == (["looks"], False)


@pytest.mark.parametrize(("low", "passes"), [(0.001, True), (-0.01, False)])
def test_the_interval_at_the_level_of_the_decision_must_lie_above_zero(scored, low, passes):
    attempt = Attempt(num_others=9, num_networks=10, spent=0.025, interval=(low, 0.2))
    judgement = judged(*scored(), attempt=attempt)
    gain = rule_of(judgement, "gain")
    assert (gain.passed, judgement.passed) == (passes, passes)
    assert gain.detail.startswith("action top-1 +10.0 points [2.0, 18.0]: the 99.5 % confidence interval [")


@pytest.mark.parametrize(("rule", "option"), [("num_clips", "min_gate_clips"), ("num_sources", "min_gate_sources")])
def test_too_few_clips_or_videos_do_not_decide(scored, rule, option):
    ours, theirs = scored()
    number = getattr(ours, rule)
    assert judged(ours, theirs, **{option: number}).passed
    judgement = judged(ours, theirs, **{option: number + 1})
    assert failed(judgement) == [rule]
    assert f"at least {number + 1} needed" in judgement.reason


def test_scores_of_another_engine_or_other_crops_do_not_count(scored):
    ours, theirs = scored()
    other = "float16" if ours.engine.precision != "float16" else "float32"
    for update in ({"crops": 1}, {"engine": ours.engine.model_copy(update={"precision": other})}):
        judgement = judged(ours, theirs.model_copy(update=update))
        assert failed(judgement) == ["engine"]
        assert "`engine`" in rule_of(judgement, "engine").detail
    heads_alone = theirs.engine.model_copy(update={"precision": other, "has_backbone": False})
    assert judged(ours, theirs.model_copy(update={"engine": heads_alone})).passed
    described = ours.engine.model_copy(update={"description": "another machine", "num_checked_clips": 99})
    assert judged(ours, theirs.model_copy(update={"engine": described})).passed


@pytest.mark.parametrize(
    ("other", "passes"),
    [
        (outcome(4), True),
        (outcome(6), False),
        (outcome(9, num_clips=9), True),
        (outcome(10, num_clips=10), False),
        (outcome(10, target="noun"), False),
        (outcome(12, 8), True),
        (outcome(19, 1), False),
        (outcome(0, 14), True),
    ],
)
def test_no_class_with_enough_clips_may_surely_lose_much(scored, other, passes):
    judgement = judged(*scored(), outcomes=[outcome(), other], max_class_loss_points=20, min_class_clips=10)
    assert rule_of(judgement, "classes").passed == passes == judgement.passed


def test_a_loss_must_be_surer_the_more_classes_are_judged_and_classes_that_lose_are_named_worst_first(scored):
    """Five of five clips that differ are lost by chance once in 32: rare for one class, and not for four."""
    assert failed(judged(*scored(), outcomes=[outcome(5)])) == ["classes"]
    among = judged(*scored(), outcomes=[outcome(5), *(outcome(4, 4, name=f"verb{i}") for i in range(3))])
    assert among.passed
    assert rule_of(among, "classes").detail.endswith("1 lost more, but not significantly")
    rule = rule_of(judged(*scored(), outcomes=[outcome(i, name=f"verb{i}") for i in range(8, 16)]), "classes")
    assert rule.detail.startswith("verb 'verb15' loses 75.0 points of recall (20 clips), verb 'verb14' loses 70.0")
    assert "and 3 more; more than 20 points of recall fails a class if the loss is significant" in rule.detail


@pytest.mark.parametrize(
    ("outcomes", "title", "detail"),
    [
        (
            [outcome(), outcome(num_clips=9), outcome(num_clips=9)],
            "No class loses too much (1 of 3 tested)",
            "no verb or noun with 10 clips or more has a significant loss of more than 20 points of recall",
        ),
        (
            [outcome(10, num_clips=100)],
            "No class loses too much (1 of 1 tested)",
            "no verb or noun with 10 clips or more has a significant loss of more than 20 points of recall; 1 lost significantly, but not more",
        ),
        ([outcome(num_clips=9)], "No class has enough clips to test", "no verb or noun has 10 clips or more, so none was tested"),
    ],
)
def test_the_rule_of_the_classes_says_what_it_tested(scored, outcomes, title, detail):
    rule = rule_of(judged(*scored(), outcomes=outcomes), "classes")
    assert (rule.title, rule.passed, rule.detail) == (title, True, detail)


@pytest.mark.parametrize("is_provisional", [True, False])
def test_a_champion_that_stays_is_called_provisional_if_it_is(scored, is_provisional):
    judgement = judged(*scored(), min_gate_clips=1000, champion_is_provisional=is_provisional)
    assert ("It is provisional" in judgement.consequence, "It is provisional" in judgement.reason) == (is_provisional, is_provisional)


def test_every_failed_rule_is_in_the_reason(scored):
    ours, theirs = scored(0.3, 0.4, opponent="baseline", majority=0.5)
    change = difference(5, 15, (-0.2, 0), opponent="baseline")
    theirs = theirs.model_copy(update={"crops": 1})
    nothing_left = Attempt(spent=0.1, obstacle="Wait")
    judgement = judged(ours, theirs, change, [outcome(20)], attempt=nothing_left, min_gate_clips=1000, min_gate_sources=1000)
    assert failed(judgement) == RULES
    assert all(rule.detail in judgement.reason for rule in judgement.rules)
    looks = "(no other network was scored on these val clips; nothing is left to test at; Wait); better on"
    assert looks in judgement.reason, "one sentence"
    assert "Not promoted: there is still no champion. Warning: " in judgement.reason


@pytest.mark.parametrize(
    ("ours", "opponent", "changes", "provisional"),
    [
        (0.4, "baseline", {}, True),
        (0.4, "baseline", {"promotion": "approve"}, True),
        (0.4, "baseline", {"promotion": "never"}, False),
        (0.4, "baseline", {"label_noise": 0.2}, False),
        (0.4, "champion", {}, False),
        (0.1, "baseline", {}, False),
    ],
)
def test_without_a_champion_a_network_better_than_guessing_becomes_the_provisional_one(scored, ours, opponent, changes, provisional):
    networks = scored(ours, 0.4, opponent=opponent)
    judgement = judged(*networks, difference(9, 9, (-0.1, 0.1), opponent=opponent), min_gate_clips=1000, **changes)
    assert (judgement.passed, judgement.provisional) == (False, provisional)
    assert ("becomes the provisional champion" in judgement.consequence) == provisional
    assert judgement.consequence.rstrip(".") in judgement.reason, "`decide` replaces it there"
    if provisional:
        passing = judged(*networks, difference(opponent=opponent), **changes)
        assert (passing.passed, passing.provisional) == (True, False)


def test_a_network_that_guessing_matches_is_told_which_labels_are_few(scored):
    counts = [some(LabelCount, name=name, num_clips=number) for name, number in {"put meat": 9, "take cup": 2, "open bin": 1}.items()]
    assert "train has fewest clips of: 'open bin' (1 clip), 'take cup' (2 clips), 'put" in judged(*scored(0.1), train_counts=counts).reason
    assert "more labels" not in rule_of(judged(*scored(), train_counts=counts), "guessing").detail


@pytest.mark.parametrize(("margin", "fails", "words"), [(0.09, [], "lies above"), (0.1, ["guessing"], "does not lie above")])
def test_to_pass_a_network_must_surely_beat_guessing_and_to_be_provisional_on_these_clips(scored, margin, fails, words):
    change = difference(opponent="baseline")
    judgement = judged(*scored(0.5, 0.4, opponent="baseline", majority=0.4), change, margin=margin)
    assert (failed(judgement), judgement.passed, judgement.provisional) == (fails, not fails, bool(fails))
    assert rule_of(judgement, "guessing").detail.endswith(f"'common action': the 95 % confidence interval {words} zero")


def test_a_winner_that_guessing_matches_is_stopped_and_warned_of(scored):
    judgement = judged(*scored(0.5, 0.4, majority=0.5))
    assert failed(judgement) == ["guessing"]
    assert judgement.verdict.startswith("No better than guessing: ")
    assert "Warning: no better than always predicting" in judgement.reason
    assert "Warning" not in judged(*scored(0.5, 0.4, majority=0.4)).reason


def test_the_champion_is_the_opponent_else_the_baseline(results):
    splits = ("train", "val", "test")
    every = [result.model_copy(update={"split": split}) for split in splits for result in results.values()]
    ours, theirs = contenders(every, "test")
    assert (ours.split, ours.model, theirs.model) == ("test", "fine-tuned", "champion")
    ours, theirs = contenders([r for r in every if r.model != "champion"], "val")
    assert (ours.split, theirs.model) == ("val", "baseline")


def test_what_cannot_be_compared_is_refused(scored, results):
    ours = results["fine-tuned"]
    with pytest.raises(BadInput, match="run `evaluate` for both"):
        contenders([ours, results["baseline"].model_copy(update={"split": "train"})], "val")
    with pytest.raises(BadInput, match="own opponent"):
        judged(ours, ours)
    ours, theirs = scored()
    for field, value in {"split": "test", "num_clips": 1, "num_sources": 1}.items():
        with pytest.raises(BadInput, match=field):
            judged(ours, theirs.model_copy(update={field: value}))
    for update in ({"target": "verb"}, {"opponent": "baseline"}, {"num_clips": 99}, {"num_sources": 9}):
        with pytest.raises(BadInput, match="run compare again"):
            judged(*scored(), difference(**update))


ATTEMPTS = {
    "none": (None, ()),
    "older": (Attempt(number=3, num_others_on_dataset=0), ()),
    "first": (Attempt(spent=0.025), ("No other network was scored on these val clips; the gain must show at 2.5 %.", "2.5 % of")),
    "after two decisions": (Attempt(num_decided=2, spent=0.025), ("2 networks were decided on these val clips before; the gain must",)),
    "the best of ten": (
        Attempt(num_others=9, num_networks=10, charge=0.012, spent=0.037),
        ("9 other networks were", "at 0.12 % instead of 1.2 %", "about 1.2 % of cases at most", "3.7 % of the year's 10 %"),
    ),
    "all errors": (Attempt(spent=1, yearly_error=1), ("100 % of the year's 100 % are spent",)),
    "free": (
        Attempt(num_others=1, num_networks=1.5, spent=0, is_spent=False),
        ("1 other network was", "It spends nothing, since no network can be promoted for passing", "0 % of"),
    ),
}


@pytest.mark.parametrize(("attempt", "words"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_looks_level_and_spending_are_said(attempt, words):
    said = attempt_in_words(attempt, "val")
    assert bool(said) == bool(words)
    assert [part for part in words if part not in said] == []
