import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tasks.errors import BadConfiguration
from tasks.judge.search.space import Space
from tasks.options import LIGHT, SearchOptions, TrainOptions
from tasks.options.search import RANGES, Searched


def space(*lines: str, base: TrainOptions = LIGHT) -> Space:
    chosen = SearchOptions.model_validate({"search": [line.partition("=")[0] for line in lines], "ranges": lines})
    return Space.of(chosen, base)


def test_the_default_form_can_be_searched_with_every_option_ticked_and_tries_every_value():
    assert set(RANGES) == set(Searched.__args__)
    searched = Space.of(SearchOptions(search=list(RANGES)), LIGHT)
    assert searched.untried() == []
    assert list(searched.ranges) == sorted(RANGES)
    assert searched.ranges["learning_rate"] == FloatDistribution(1e-5, 1e-1, log=True)
    assert searched.ranges["batch_size"] == CategoricalDistribution([2, 4, 8, 16])
    assert searched.ranges["warmup_epochs"] == IntDistribution(0, 2)
    assert space("batch_size=2..1.6e1").ranges["batch_size"] == IntDistribution(2, 16)
    assert searched.ranges["mirror"] == CategoricalDistribution([True, False])
    assert space("weight_decay=0..1").ranges["weight_decay"] == FloatDistribution(0, 1), "of a real number, though the ends are whole"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("dropout=0.8..0", "lower number first"),
        ("learning_rate=0..1 log", "above 0"),
        ("learning_rate=1e-3..x", "low..high"),
        ("learning_rate=1e-3..1 linear", "low..high"),
        ("dropout=0..1.5", "less than 1"),
        ("batch_size=2, 4, 1000", "256"),
        ("schedule=constant, cosin", "cosine"),
        ("dropout=", "no range"),
        ("dropout=,", "no value"),
        (f"batch_size=2..{10**400}", "256"),
        (f"dropout=0..{10**400}", "low..high"),
        ("batch_size=2..Infinity", "finite"),
    ],
)
def test_a_wrong_range_is_refused_with_its_line(line, message):
    with pytest.raises(BadConfiguration, match=message) as caught:
        space(line)
    assert line.partition("=")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [(["learning_rate=1e-5..1e-1"], "dropout has no line"), (["droput=0..1", "dropout=0..0.5"], "unknown option droput")],
)
def test_an_option_without_a_range_and_a_line_of_an_unknown_option_are_refused(ranges, message):
    with pytest.raises(BadConfiguration, match=message):
        Space.of(SearchOptions(search=["dropout"], ranges=ranges), LIGHT)


def test_values_that_contradict_one_another_make_no_training_and_options_without_effect_no_other_one():
    searched = space("head=linear, tcn", "family=TSN, TRN")
    assert searched.complete({"head": "tcn", "family": "TRN"}) is None
    assert searched.complete({"head": "tcn", "family": "TSN"}) == LIGHT.model_copy(update={"head": "tcn", "family": "TSN"})
    searched = space("schedule=constant, cosine")
    recipe = searched.complete({"schedule": "constant"})
    assert recipe == Space(LIGHT.model_copy(update={"flow_method": "dis"}), searched.ranges).complete({"schedule": "constant"})


@pytest.mark.parametrize(
    ("lines", "base", "said"),
    [
        (["head=linear, probe"], TrainOptions(), ["head=probe is never tried: head probe is fitted on the features of a frozen"]),
        (["head=linear, tcn", "family=TRN, MTRN"], LIGHT, ["head=tcn is never tried: no value of the other searched options fits it"]),
        (["family=TSN, 3D"], LIGHT, ["family=3D is never tried: family 3D needs a video network and backbone tf_efficientnet_lite0"]),
        (["head=linear, probe", "trainable=all, heads"], TrainOptions(), []),
        (["head=linear, tcn", "family=TRN, TSN"], TrainOptions(), []),
        (["dropout=0..0.5"], TrainOptions(), []),
    ],
)
def test_values_that_no_recipe_of_a_space_can_have_are_named(lines, base, said):
    named = space(*lines, base=base).untried()
    assert [line.startswith(start) for line, start in zip(named, said, strict=True)] == [True] * len(said)


def test_video_networks_are_searched_beside_others():
    searched = space("family=TSN, 3D", "backbone=tf_efficientnet_lite0, mc3_18, r2plus1d_18")
    assert searched.untried() == []
    assert searched.complete({"family": "3D", "backbone": "mc3_18"}).backbone == "mc3_18"
    assert searched.complete({"family": "3D", "backbone": "tf_efficientnet_lite0"}) is None
    assert searched.complete({"family": "TSN", "backbone": "mc3_18"}) is None
