import pytest

from tasks.predict.class_mix import class_mix, in_words
from tasks.predict.names import Names

NAMES = Names({0: "take", 1: "put"}, {0: "bag"}).of_verbs()
TAKE, PUT = NAMES.action(0, 0), NAMES.action(1, 0)
TRAINED = {TAKE: 5, PUT: 5}


@pytest.mark.parametrize("num_held_out", [6, 30])
def test_films_of_another_mix_are_told_from_those_held_out(num_held_out):
    held_out = [[TAKE, PUT], [TAKE, PUT, PUT]] * (num_held_out // 2)
    other, alike = (class_mix(new, held_out, TRAINED) for new in ([[PUT] * 4] * 3, held_out[:3]))
    assert (other.distance, other.action, other.share, other.trained_share) == (0.5, PUT, 1, 0.5)
    assert other.p_value < 0.05 < alike.p_value
    assert "more than in" in in_words(other, NAMES)
    assert "put, predicted in 100.0 % of the clips, has 50.0 % of the labels" in in_words(other, NAMES)
    assert "no more than in" in in_words(alike, NAMES)


def test_with_few_films_it_cannot_tell():
    mix = class_mix([[PUT] * 4], [[TAKE, PUT]] * 2, TRAINED)
    assert mix.p_value is None
    assert "2 films held out of training are too few to tell" in in_words(mix, NAMES)


def test_an_action_without_a_label_counts():
    assert class_mix([[7]], [], TRAINED).distance == 1
