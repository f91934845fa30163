"""Which folders are labels, and how they are read: one table of known words, one of new ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.folders import read_folders
from tasks.data.labels.vocabulary import NOUNS, VERBS, Lexicon
from tasks.store.records.dataset import NO_OBJECT, action_name


@pytest.fixture(scope="module")
def read():
    """Reads the folders of videos, a name each; by name, the label or None, and by name the reason why there is none."""

    def run(names, in_files=(), merged=(), numbered=()):
        verbs, nouns = Lexicon("verb", VERBS), Lexicon("noun", NOUNS)
        verbs.define("turn-on", 12, "list")
        nouns.define("board:chopping", 19, "list")
        verbs.learn("pick-up", None, "labels.csv line 2")
        for number, (name, same_as) in enumerate(merged, start=2):
            verbs.merge(name, same_as, f"classes.csv line {number}")
        folders = read_folders({name: tuple(name.split("|")) for name in names}, set(in_files), verbs, nouns, set(numbered))
        labels = {name: action_name(label.verb, label.noun) for name, label in folders.label_by_video.items()}
        return [labels.get(name) for name in names], dict(folders.reason_by_video)

    return run


@pytest.mark.parametrize(
    ("name", "action"),
    [
        *((f"{folder}/a.mp4", "put meat") for folder in ("put meat", "Put  Meat", "put_meat", "put-meat", "put/meat")),
        *((f"{folder}/a.mp4", "put meat") for folder in ("put meat/camera 2", "put meat/left camera")),
        ("week 12\\put meat\\a.mp4", "put meat"),
        ("turn on bag/a.mp4", "turn-on bag"),
        ("move board:chopping/a.mp4", "move board:chopping"),
        ("pick up meat/a.mp4", "pick-up meat"),
        *((f"{folder}/a.mp4", "put") for folder in ("put", "put/GX010012", "put/raw")),
        ("put/take/a.mp4", "take"),
        *((f"{folder}/a.mp4", "put tray") for folder in ("put tray", "put/tray/anna")),
        ("put/red pepper/a.mp4", "put red-pepper"),
        ("put красный перец/a.mp4", "put красный-перец"),
        *((name, None) for name in ("put tray 2/a.mp4", "week 12/a.mp4", "put meat.mp4")),
    ],
)
def test_folders_that_begin_with_a_known_verb(read, name, action):
    assert read([name])[0] == [action]


@pytest.mark.parametrize(
    ("names", "actions"),
    [
        (["knit sock/a.mp4", "Наливать чай/b.mp4", "wave/c.mp4"], ["knit sock", "наливать чай", "wave"]),
        (["knit_sock/a.mp4", "knit-wool sock/b.mp4", "knit red sock/c.mp4"], ["knit sock", "knit-wool sock", "knit red-sock"]),
        (["चाय डालना/a.mp4", "お茶 注ぐ/b.mp4", "צלול קפה/c.mp4"], ["चाय डालना", "お茶 注ぐ", "צלול קפה"]),
        (["knit/sock/a.mp4", "knit/hat/b.mp4", "sew/hat/c.mp4"], ["knit sock", "knit hat", "sew hat"]),
        (["wave/a.mp4", "clap/b.mp4"], ["wave", "clap"]),
        (["put meat/a.mp4", "wave/b.mp4"], ["put meat", "wave"]),
        (["day 1/wave/a.mp4", "day 2/clap/b.mp4"], ["wave", "clap"]),
        (["train/wave/a.mp4", "train/clap/b.mp4", "val/wave/c.mp4"], ["wave", "clap", "wave"]),
        (["my videos/wave/a.mp4", "my videos/clap/b.mp4"], ["wave", "clap"]),
        (["anna/wave/a.mp4", "anna/clap/b.mp4"], ["wave", "clap"]),
        (["anna/knit sock/a.mp4", "ben/knit sock/b.mp4", "ben/clap hands/c.mp4"], ["knit sock", "knit sock", "clap hands"]),
        (["film/put meat/a.mp4", "film/wave/b.mp4"], ["put meat", "wave"]),
        (["anna/put/a.mp4", "anna/wave/b.mp4", "ben/knit sock/c.mp4", "ben/wave/d.mp4"], ["put", "wave", "knit sock", "wave"]),
        (["anna/a.mp4", "anna/put/meat/b.mp4", "put/bag/c.mp4"], [None, "put meat", "put bag"]),
        (["knit sock/left/a.mp4", "wave/b.mp4"], ["knit sock", "wave"]),
        (["wave/2026-11-20/a.mp4", "clap/GX010012/b.mp4"], ["wave", "clap"]),
    ],
)
def test_folders_of_new_words(read, names, actions):
    assert read(names)[0] == actions


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("holiday/a.mp4", "single word, and no other folder is a label; if it is a label, add verb,holiday,holiday to classes.csv"),
        *((f"{folder}/a.mp4", "digit") for folder in ("kitchen3", "2026-11-20", "GX010012")),
        *((f"{folder}/a.mp4", "collection") for folder in ("Raw Footage", "clips")),
        ("knit " + "s" * 65 + "/a.mp4", "longer than 64"),
        ("=wave/a.mp4", "'=wave' is not a name"),
        ("\ufdfa" * 80 + "/a.mp4", "is not a label: is longer than 1024 characters"),
    ],
)
def test_folders_that_are_no_label_say_why(read, name, reason):
    (action,), reasons = read([name])
    assert action is None
    assert reason in reasons[name]


def test_a_new_word_is_no_label_where_files_label_the_folders_videos_by_other_verbs(read):
    names = ["monday/a.mp4", "monday/b.mp4", "best of/c.mp4", "best of/d.mp4", "put meat/e.mp4", "tuesday/f.mp4"]
    in_files = [names[0], names[2], names[4]]
    actions, reasons = read(names, in_files)
    assert actions == [None, None, None, None, "put meat", "tuesday"]
    assert "add verb,best,best to classes.csv" in reasons["best of/d.mp4"]
    assert read(names, in_files, merged=[("monday", "monday")])[0][:2] == ["monday", "monday"]
    assert read(names, in_files, numbered=["monday"])[0][:3] == ["monday", "monday", None]


def test_a_persons_verbs_change_how_folders_are_read(read):
    names = ["anna/wave/a.mp4", "ben/wave/b.mp4", "ben/clap/c.mp4", "holiday/d.mp4", "clapping/e.mp4"]
    assert read(names)[0] == ["anna wave", "ben wave", "ben clap", "holiday", "clapping"]
    said = [("anna", "-"), ("ben", "-"), ("holiday", "-"), ("clapping", "clap")]
    actions, reasons = read(names, merged=said)
    assert actions == ["wave", "wave", "clap", None, "clap"]
    assert "verb 'holiday' is left out (classes.csv line 4)" in reasons["holiday/d.mp4"]


def test_of_several_names_of_a_video_the_surest_counts(read):
    assert read(["monday/a.mp4|put/a.mp4|put meat/a.mp4", "tuesday/b.mp4"])[0] == ["put meat", "tuesday"]
    assert read(["monday/a.mp4|knit sock/a.mp4"])[0] == ["knit sock"]


@pytest.mark.parametrize(
    "names", ["put meat/a.mp4|take meat/a.mp4", "put meat/a.mp4|put bag/a.mp4", "put meat/a.mp4|take/a.mp4", "a b/a.mp4|b c/a.mp4"]
)
def test_names_that_disagree_are_refused(read, names):
    (action,), reasons = read([names])
    assert action is None
    assert "different labels" in reasons[names]


words = st.sampled_from(
    ["put", "meat", "knit", "sock", "wave", "anna", "videos", "day 2", "put meat", "knit sock", "=x", "", "a\u0300"]
) | st.text(st.characters(exclude_characters="/\\\0"), max_size=5)
trees = st.lists(st.lists(words, max_size=4).map(lambda path: "/".join([*path, "a.mp4"])), max_size=6, unique=True)


@given(trees, st.randoms())
def test_any_tree_is_read_whatever_its_order_and_only_by_names_that_can_be_classes(read, names, random):
    actions, reasons = read(names)
    shuffled = random.sample(names, len(names))
    again, again_reasons = read(shuffled)
    assert dict(zip(names, actions, strict=True)) == dict(zip(shuffled, again, strict=True))
    assert reasons == again_reasons
    assert all(action is None or (len(action) < 130 and "=" not in action and NO_OBJECT not in action) for action in actions)
