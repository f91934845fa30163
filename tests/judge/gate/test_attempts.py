import pytest

from tasks.judge.gate.attempts import Decided, attempt_in_words, attempt_of, chance_of_passing
from tasks.store.records.evaluation import Attempt


def decided(run_key, clips="abcd", dataset="x"):
    return Decided(run_key, dataset, frozenset(clips))


@pytest.mark.parametrize(
    ("earlier", "number", "on_dataset"),
    [
        ([], 1, 0),
        ([decided("old")], 2, 1),
        ([decided("old"), decided("old"), decided("this")], 2, 1),
        ([decided("old", "cdef", "y"), decided("older", "defg", "z")], 2, 0),
    ],
    ids=["first", "second", "the same networks again", "half of the clips"],
)
def test_other_networks_on_these_clips_are_counted_once_each(earlier, number, on_dataset):
    assert attempt_of(decided("this"), earlier) == Attempt(number=number, num_others_on_dataset=on_dataset)


def test_the_risk_grows_with_every_attempt():
    risks = [chance_of_passing(Attempt(number=number, num_others_on_dataset=0)) for number in (1, 2, 26)]
    assert risks == pytest.approx([0.025, 1 - 0.975**2, 0.482], abs=5e-4)


def test_number_and_risk_are_said():
    seventh = Attempt(number=7, num_others_on_dataset=2)
    assert attempt_in_words(seventh, "val").startswith(
        "This is decision number 7, after 6 other networks, on half or more of these val clips. If none of 7 networks is better, the chance "
        "that at least one passes is at most about 16.2 %"
    )
    assert "This is the first decision on these test clips" in attempt_in_words(Attempt(number=1, num_others_on_dataset=0), "test")
    on_test = attempt_in_words(seventh, "test")
    assert on_test.endswith("; new clips for more than half of test restart the count.")
    assert attempt_in_words(None, "val") == ""
