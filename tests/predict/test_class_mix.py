from tasks.predict.class_mix import class_mix, in_words
from tasks.predict.names import Names

NAMES = Names({0: "take", 1: "put"}, {0: "bag"}).of_verbs()
TAKE, PUT = NAMES.action(0, 0), NAMES.action(1, 0)
TRAINED = {TAKE: 5, PUT: 5}


def test_predicted_actions_stand_beside_labels_and_predictions_of_test():
    mix = class_mix([PUT] * 4, [TAKE, PUT, PUT], TRAINED)
    assert (mix.distance, mix.action, mix.share, mix.trained_share) == (0.5, PUT, 1, 0.5)
    words = in_words(mix, NAMES)
    assert "by a total variation of 50.0 % in 4 new clips, and 16.7 % in 3 clips of test." in words
    assert "put, predicted in 100.0 % of the new clips, has 50.0 % of the labels" in words


def test_an_action_without_a_label_counts_and_test_may_lack_clips():
    mix = class_mix([7], [], TRAINED)
    assert (mix.distance, mix.distance_of_test, mix.action) == (1, None, 7)
