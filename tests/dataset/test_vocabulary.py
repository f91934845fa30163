import csv

import pytest

from tasks.dataset.vocabulary import NOUNS, VERBS, ClassNames


@pytest.fixture
def nouns():
    return ClassNames("noun", NOUNS)


def test_shipped_ids_are_those_of_epic(shared):
    for target, shipped in (("verb", VERBS), ("noun", NOUNS)):
        with (shared / "epic55" / f"EPIC_{target}_classes.csv").open(newline="") as file:
            epic = {row["class_key"]: int(row[f"{target}_id"]) for row in csv.DictReader(file)}
        assert shipped.items() <= epic.items()


def test_an_unknown_name_tells_near_ones_and_the_remedy(nouns):
    with pytest.raises(ValueError, match=r"unknown noun 'meet' \(near: 'meat'\).*noun_class.*EPIC_noun_classes.csv"):
        nouns.find("meet")


def test_a_name_and_its_id_stay_one_to_one(nouns):
    nouns.define("tray", 63, "a.csv line 2")
    nouns.define("tray", 63, "b.csv line 2")
    with pytest.raises(ValueError, match=r"noun_class of 'tray' is 63 \(a.csv line 2\), not 64"):
        nouns.define("tray", 64, "b.csv line 3")
    with pytest.raises(ValueError, match=r"63 is 'tray' \(a.csv line 2\), not 'flour'"):
        nouns.define("flour", 63, "b.csv line 4")
    with pytest.raises(ValueError, match="26 is 'meat', not 'ham'"):
        nouns.define("ham", 26, "b.csv line 5")
    assert nouns.find("tray").id == 63


def test_a_synonym_is_its_class_and_one_of_two_needs_an_id(nouns):
    nouns.define("fork", 18, "list")
    for class_id in (1, 18):
        nouns.add_synonym("tool", class_id)
    nouns.add_synonym("wok", 1)
    nouns.add_synonym("pot", 18)
    assert nouns.find("wok").name == "pan"
    assert nouns.find("pot").id == 15
    assert nouns.find("tool", 18).name == "fork"
    with pytest.raises(ValueError, match=r"means the classes \[1, 18\]"):
        nouns.find("tool")
