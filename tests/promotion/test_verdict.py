import pytest

from tasks.promotion.verdict import guessing_caveat, verdict_on
from tasks.results.evaluation import PairedDifference
from tasks.results.record import TARGETS


@pytest.fixture(scope="module")
def verdict(make_result):
    """The sentence on 100 clips of 10 videos, where the champion classifies 40 % of the actions correctly."""
    result = make_result(split="test", num_clips=100, num_sources=10)

    def scored(model, top1, majority):
        update = {
            target: getattr(result, target).model_copy(
                update={
                    "top1": top1[target],
                    "top1_interval": (top1[target] - 0.1, top1[target] + 0.1),
                    "majority_top1": majority[target],
                    "majority_class": f"common {target}",
                }
            )
            for target in TARGETS
        }
        return result.model_copy(update={"model": model, **update})

    def build(num_gained, num_lost, interval, *, majority=(0.1, 0.1, 0.1), needed=None, num_sources=10):
        gain = (num_gained - num_lost) / 100
        majorities = dict(zip(TARGETS, majority, strict=True))
        ours = scored("fine-tuned", {"verb": 0.6, "noun": 0.7, "action": 0.4 + gain}, majorities)
        theirs = scored("champion", dict.fromkeys(TARGETS, 0.4), majorities)
        difference = PairedDifference(
            target="action",
            opponent="champion",
            num_clips=100,
            num_sources=num_sources,
            difference=gain,
            interval=interval,
            num_gained=num_gained,
            num_lost=num_lost,
            mcnemar_p=0.5,
            num_clips_needed=needed,
        )
        return verdict_on(ours, theirs, difference)

    return build


def test_a_sure_gain(verdict):
    assert verdict(15, 5, (0.021, 0.18)) == (
        "Better than the champion: on 100 test clips of 10 source videos the fine-tuned network classifies 50.0 % of the actions correctly, "
        "10.0 points more than the champion (40.0 %; 95 % confidence interval of the difference [2.1, 18.0]); "
        "always predicting 'common action' gives significantly less, 10.0 %."
    )


def test_a_sure_loss(verdict):
    sentence = verdict(5, 15, (-0.18, -0.02))
    assert sentence.startswith("Worse than the champion: ")
    assert "10.0 points fewer than the champion (40.0 %;" in sentence


def test_a_tie(verdict):
    sentence = verdict(8, 8, (-0.1, 0.1))
    assert sentence.startswith("A tie: ")
    assert "as many as the champion (95 % confidence interval of the difference [-10.0, 10.0])" in sentence


def test_too_little_data_says_how_much_is_needed(verdict):
    sentence = verdict(8, 5, (-0.04, 0.1), needed=544)
    assert sentence.startswith("Too little data to tell: ")
    assert "too small to tell: about 550 test clips of about 55 source videos would be needed;" in sentence


def test_one_source_video_tells_nothing(verdict):
    sentence = verdict(30, 5, (-1, 1), needed=400, num_sources=1)
    assert sentence.startswith("Too little data to tell: ")
    assert "; one source video is not enough to tell;" in sentence


@pytest.mark.parametrize("majority", [0.5, 0.6])
def test_guessing_as_well_comes_first_whoever_wins(verdict, majority):
    sentence = verdict(15, 5, (0.02, 0.18), majority=(0.1, 0.1, majority))
    assert sentence.startswith("No better than guessing: ")
    assert sentence.endswith(f"; always predicting 'common action' gives {100 * majority:.1f} %.")
    assert "less" not in sentence


def test_guessing_nouns_as_well_is_told(verdict):
    sentence = verdict(15, 5, (0.02, 0.18), majority=(0.1, 0.7, 0.1))
    assert sentence.startswith("Better than the champion: ")
    assert sentence.endswith(
        "less, 10.0 %; the network classifies only 70.0 % of the nouns correctly, the same as always predicting 'common noun'."
    )


def test_more_than_guessing_by_less_than_the_uncertainty_is_not_sure(verdict):
    assert "always predicting 'common action' gives 45.0 %, which is not significantly less" in verdict(
        15, 5, (0.02, 0.18), majority=(0.1, 0.1, 0.45)
    )


def test_a_name_stays_within_the_sentence(make_result):
    action = make_result().action.model_copy(update={"majority_class": "a\n" + "b" * 300, "majority_top1": 1.0})
    caveat = guessing_caveat(make_result().model_copy(update={"action": action}))
    assert "\n" not in caveat
    assert len(caveat) < 200
