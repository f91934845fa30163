import pytest

from tasks.dataset.folders import folder_label
from tasks.dataset.vocabulary import NOUNS, VERBS, ClassNames


@pytest.fixture
def classes():
    verbs, nouns = ClassNames("verb", VERBS), ClassNames("noun", NOUNS)
    verbs.define("turn-on", 12, "list")
    nouns.define("board:chopping", 19, "list")
    return verbs, nouns


@pytest.mark.parametrize(
    ("name", "verb", "noun"),
    [
        ("put meat/a.mp4", "put", "meat"),
        ("Put  Meat/a.mp4", "put", "meat"),
        ("put_meat/a.mp4", "put", "meat"),
        ("put-meat/a.mp4", "put", "meat"),
        ("put/meat/a.mp4", "put", "meat"),
        ("week 12\\put meat\\a.mp4", "put", "meat"),
        ("put meat/camera 2/a.mp4", "put", "meat"),
        ("turn on bag/a.mp4", "turn-on", "bag"),
        ("move board:chopping/a.mp4", "move", "board:chopping"),
        ("put/a.mp4", "put", None),
        ("put tray/a.mp4", "put", None),
        ("monday/a.mp4", None, None),
    ],
)
def test_what_a_folder_says(classes, name, verb, noun):
    label = folder_label([name], *classes)
    assert (label.verb and label.verb.name, label.noun and label.noun.name) == (verb, noun)
    assert (label.reason is None) == label.is_whole


@pytest.mark.parametrize("name", ["put meat.mp4", "2026-11-20/a.mp4", "week 12/a.mp4"])
def test_no_folder_or_one_with_a_number_says_nothing(classes, name):
    assert folder_label([name], *classes) is None


def test_reasons_say_what_to_do(classes):
    assert "unknown noun 'tray'" in folder_label(["put tray/a.mp4"], *classes).reason
    assert "'put meat'" in folder_label(["put/a.mp4"], *classes).reason
    assert "known verb" in folder_label(["wash plate/a.mp4"], *classes).reason


def test_of_several_names_the_whole_label_counts(classes):
    label = folder_label(["monday/a.mp4", "put/a.mp4", "put meat/a.mp4"], *classes)
    assert label.noun.name == "meat"


@pytest.mark.parametrize("other", ["take meat/a.mp4", "put bag/a.mp4", "take/a.mp4"])
def test_names_that_disagree_are_refused(classes, other):
    with pytest.raises(ValueError, match="different labels"):
        folder_label(["put meat/a.mp4", other], *classes)
