import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.vocabulary import NOUNS, VERBS, Lexicon, class_name, normal_name


@pytest.fixture
def nouns():
    return Lexicon("noun", NOUNS)


def test_shipped_ids_are_those_of_epic(shared):
    for target, shipped in (("verb", VERBS), ("noun", NOUNS)):
        with (shared / "epic55" / f"EPIC_{target}_classes.csv").open(newline="") as file:
            epic = {row["class_key"]: int(row[f"{target}_id"]) for row in csv.DictReader(file)}
        assert shipped.items() <= epic.items()


def test_a_synonym_is_its_class_and_one_of_two_needs_an_id(nouns):
    nouns.define("fork", 18, "list")
    for class_id in (1, 18):
        nouns.add_synonym("tool", class_id)
    nouns.add_synonym("wok", 1)
    nouns.add_synonym("pot", 18)
    assert nouns.find("wok") == "pan"
    assert nouns.find("pot") == "pot"
    assert nouns.find("tool", 18) == "fork"
    with pytest.raises(ValueError, match=r"means the classes \[1, 18\]"):
        nouns.find("tool")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Наливать Чай", "наливать-чай"),
        ("\uff37\uff21\uff36\uff25", "wave"),
        ("Straße", "strasse"),
        ("चाय डालना", "चाय-डालना"),
        ("pâté", "pâté"),
        ("\u200bpan (small)\ufeff", "pan-(small)"),
        ("x" * 64, "x" * 64),
    ],
)
def test_names_of_any_language(text, name):
    assert class_name(text) == name


@pytest.mark.parametrize("text", ["", "(none)", "=1+1", "a;b", "a,b", "a/b", "a\tb;", "-", "\u0301a", "x" * 65, "ß" * 33, "\ud800"])
def test_what_is_no_name(text):
    with pytest.raises(ValueError, match=r"is not a name|is longer than 64 characters"):
        class_name(text)


@given(st.text(max_size=8))
def test_a_normal_name_is_its_own_normal_name(text):
    assert normal_name(normal_name(text)) == normal_name(text)


def test_an_id_that_the_store_gave_goes_before_all_that_files_say():
    nouns = Lexicon("noun", NOUNS, {"flour": 352, "wok": 353})
    nouns.define("flour", 47, "list line 3")
    nouns.add_synonym("plain-flour", 47)
    nouns.add_synonym("wok", 1)
    nouns.learn("flour", 47, "a.csv line 2")
    nouns.learn("flour", 352, "a.csv line 3")
    assert (nouns.id_of(nouns.find("flour")), nouns.find("plain-flour"), nouns.find("wok")) == (352, "flour", "wok")
    for name, class_id in (("flour", 353), ("tray", 352), ("meat", 352)):
        with pytest.raises(ValueError, match=f"noun_class {class_id} is beyond .*not the id of '{name}'.*leave the cell empty"):
            nouns.learn(name, class_id, "a.csv line 4")
    with pytest.raises(ValueError, match="26 is 'meat', not 'flour'"):
        nouns.learn("flour", 26, "a.csv line 5")
    kept, merged = nouns.remarks(["flour", "wok", "meat"])
    assert kept == "nouns that keep the store's id, given before a file had one: 'flour' 352, not 47"
    assert merged == "nouns with the store's id that are in EPIC's list: 'wok' as 'pan'; to merge them, use classes.csv"


def test_names_are_merged_along_a_chain_and_the_last_word_counts(nouns):
    for name, same_as in (("yoghurt", "yogurt"), ("joghurt", "yoghurt"), ("tray", "-"), ("plate", "tray")):
        nouns.merge(name, same_as, "classes.csv line 2")
    assert [nouns.find(name) for name in ("yogurt", "yoghurt", "joghurt")] == ["yogurt"] * 3
    for name in ("tray", "plate"):
        with pytest.raises(ValueError, match=r"is left out \(classes.csv line 2\)"):
            nouns.find(name)
    nouns.merge("yogurt", "joghurt", "classes.csv line 3")
    assert {nouns.find(name) for name in ("yogurt", "yoghurt", "joghurt")} == {"joghurt"}
    nouns.merge("tray", "tray", "classes.csv line 4")
    assert nouns.find("plate") == "tray"


def test_a_merged_name_may_carry_any_id(nouns):
    nouns.merge("yoghurt", "yogurt", "classes.csv line 2")
    nouns.define("yogurt", 150, "list")
    nouns.learn("yoghurt", 200, "a.csv line 2")
    nouns.learn("yoghurt", 352, "a.csv line 3")
    assert nouns.id_of(nouns.find("yoghurt", 200)) == 150


names = st.sampled_from(["a", "b", "c", "d", "-"])


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", "d"]), names), max_size=12))
def test_merging_ends_whatever_is_said(pairs):
    verbs = Lexicon("verb", VERBS)
    for name, same_as in pairs:
        verbs.merge(name, same_as, "x")
        assert verbs.why_left_out(name) or verbs.find(name) == verbs.find(same_as)
