"""Labels in words that no list has: their ids, merging them, and what is pointed out about them."""

import pytest

from tasks.data.labels.vocabulary import NOUNS, Lexicon, OwnClasses, near_names
from tasks.store.records.dataset import NO_OBJECT

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


@pytest.mark.parametrize(
    ("first", "second", "near"),
    [
        ("sock", "socks", True),
        ("box", "boxes", True),
        ("cherry", "cherries", True),
        ("knife-small", "small-knife", True),
        ("tomato", "tomatoe", True),
        ("meat", "pan", False),
        ("pan", "pans", True),
        ("cup", "cap", False),
        ("left-hand", "right-hand", False),
        ("turn-on", "turn-off", False),
        ("чашка", "чашки", False),
        ("small-cup-1", "small-cup-2", False),
    ],
)
def test_which_names_are_near(first, second, near):
    nouns = Lexicon("noun", NOUNS)
    assert bool(list(near_names({first: 1, second: 2}, nouns))) == near


def test_two_classes_of_epic_are_never_pointed_out():
    nouns = Lexicon("noun", {"tomato": 1, "tomatoes": 2})
    assert list(near_names({"tomato": 1, "tomatoes": 2}, nouns)) == []
