"""Names of classes, and labels in words that no list has: their ids, merging them, and what is pointed out about them."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.vocabulary import NOUNS, VERBS, Lexicon, OwnClasses, class_name, near_names, normal_name
from tasks.store.records.dataset import NO_OBJECT


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
def test_texts_that_are_no_name(text):
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


ANNOTATIONS = "uid,verb,noun,action,verb_class,noun_class\n"
CLASSES = "target,name,same_as\n"
VIDEOS = {"knit sock/a.mp4": 1, "наливать чай/b.mp4": 1, "wave/c.mp4": 2, "put meat/d.mp4": 1}


def ids(result):
    return {clip.action: (clip.verb_class, clip.noun_class) for clip in result.clips}


def test_words_without_an_id_get_the_next_free_ones_and_known_ones_keep_theirs(label):
    result = label(VIDEOS)
    assert ids(result) == {"knit sock": (125, 353), "наливать чай": (127, 354), "wave": (126, 352), "put meat": (1, 26)}
    assert [(ref.id, ref.name) for ref in result.vocabulary.nouns] == [(26, "meat"), (352, NO_OBJECT), (353, "sock"), (354, "чай")]
    assert (result.vocabulary.num_verbs, result.vocabulary.num_nouns) == (128, 355)
    assert (result.problems, result.left_out, result.hints) == ((), (), ())
    grown = label(VIDEOS, own=OwnClasses({"wave": 125, "clap": 126}, {"чай": 352}))
    assert ids(grown) == {"knit sock": (127, 354), "наливать чай": (128, 352), "wave": (125, 353), "put meat": (1, 26)}


def test_only_words_that_label_a_clip_are_numbered(label):
    files = {"x.csv": f"{ANNOTATIONS}a,knit,sock,,,\nnowhere,sew,hat,,,\nb,purl,scarf,,,\n", "y.csv": f"{ANNOTATIONS}b,knit,hat,,,\n"}
    result = label({"a.mp4": 1, "b.mp4": 1}, files)
    assert [ref.name for ref in (*result.vocabulary.verbs, *result.vocabulary.nouns)] == ["knit", "hat", "sock"]


@pytest.mark.parametrize("noun", ["", NO_OBJECT])
def test_an_empty_noun_is_an_action_without_an_object(label, noun):
    result = label({"a.mp4": 1}, {"x.csv": f"{ANNOTATIONS}a,wave,{noun},wave,,\n"})
    assert ids(result) == {"wave": (125, 352)}
    assert result.clips[0].noun == NO_OBJECT
    again = label(
        {"a.mp4": 1}, {"train.csv": f"{ANNOTATIONS}a,wave,{noun},wave,125,352\n"}, own=OwnClasses({"wave": 125}, {NO_OBJECT: 352})
    )
    assert ids(again) == ids(result)


def test_classes_csv_merges_names_and_leaves_some_out(label):
    rows = f"{ANNOTATIONS}a,stir,yoghurt,,,\nb,stir,yogurt,,,\nc,stirring,yogurt,,,\nd,stir,stuff,,,\ne,grab,thing,,,\n"
    said = f"{CLASSES}noun,yoghurt,Yogurt\nVerb,stirring,stir\nnoun,stuff,-\nnoun,thing,(none)\nadverb,x,y\nverb,x,(none)\nnoun,x,\n"
    videos = dict.fromkeys(["a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4"], 1)
    result = label(videos, {"classes.csv": said, "x.csv": rows})
    assert [clip.action for clip in result.clips] == ["stir yogurt", "stir yogurt", "stir yogurt", None, "grab"]
    told = {(problem.file, problem.line): problem.reason for problem in result.problems}
    assert told.keys() == {("classes.csv", 6), ("classes.csv", 7), ("classes.csv", 8), ("x.csv", 5)}
    assert told["x.csv", 5] == "noun 'stuff' is left out (classes.csv line 4)"
    assert told["classes.csv", 8] == "same_as is empty"


def test_a_word_that_the_store_numbered_before_epics_list_came_keeps_its_id(label, shared):
    lists = {path.name: path.read_bytes() for path in sorted((shared / "epic55").glob("EPIC_*_classes.csv"))}
    own = OwnClasses({"grab": 125}, {"flour": 352})
    rows = f"{ANNOTATIONS}a,grab,flour,,,\nb,take,flour,,0,93\n"
    result = label({"a.mp4": 1, "b.mp4": 1}, {**lists, "x.csv": rows}, own=own)
    assert ids(result) == {"grab flour": (125, 352), "take flour": (0, 352)}
    assert result.problems == ()
    assert ["'grab' as 'take'" in result.hints[0], "'flour' 352, not 93" in result.hints[1]] == [True, True]


def test_folders_say_how_they_were_read(label):
    result = label(VIDEOS)
    assert [(folder.folder, folder.reading, folder.is_new, folder.num_clips) for folder in result.folders] == [
        ("knit sock", "verb 'knit', noun 'sock'", True, 1),
        ("put meat", "verb 'put', noun 'meat'", False, 1),
        ("wave", "verb 'wave', no object", True, 2),
        ("наливать чай", "verb 'наливать', noun 'чай'", True, 1),
    ]


def test_near_names_are_pointed_out_and_never_merged(label):
    rows = "".join(f"v{number},stir,{noun},,,\n" for number, noun in enumerate(["yoghurt"] * 3 + ["yogurt"] * 5 + [""]))
    result = label({f"v{number}.mp4": 1 for number in range(9)}, {"x.csv": ANNOTATIONS + rows})
    assert result.hints == (
        "'yoghurt' 3 clips, 'yogurt' 5 clips: the same class? Say so in classes.csv",
        "'stir' has no object on 1 clip but one on 8: was it forgotten?",
    )
    assert {clip.noun for clip in result.clips} == {"yoghurt", "yogurt", NO_OBJECT}


NEAR = ("sock socks", "box boxes", "cherry cherries", "knife-small small-knife", "tomato tomatoe", "pan pans")
APART = ("meat pan", "cup cap", "left-hand right-hand", "turn-on turn-off", "чашка чашки", "small-cup-1 small-cup-2")


@pytest.mark.parametrize(("names", "is_near"), [*((names, True) for names in NEAR), *((names, False) for names in APART)])
def test_which_names_are_near(nouns, names, is_near):
    assert bool(list(near_names(dict(zip(names.split(), (1, 2), strict=True)), nouns))) == is_near


def test_two_classes_of_epic_are_never_pointed_out():
    nouns = Lexicon("noun", {"tomato": 1, "tomatoes": 2})
    assert list(near_names({"tomato": 1, "tomatoes": 2}, nouns)) == []
