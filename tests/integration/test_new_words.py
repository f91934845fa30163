"""Words that no list has, in a real store: numbered once, by steps side by side and over a kill, and made into a dataset."""

import json
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.keys import recipe_of
from tasks.local.home import REPOSITORY
from tasks.options import SegmentOptions
from tasks.results.dataset import NO_OBJECT, LabelsFile, Manifest
from tasks.results.video import ClipsFile
from tasks.store.layout import Layout
from tests.integration.workshop import RECIPE
from tests.steps.shelf import Shelf, filmed, taken_in

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

NUM_VERBS, NUM_VIDEOS = 100, 150
LETTERS = "abcdefghij"
PATIENCE_SECONDS = 60


def given(workshop, store, target):
    """Id and name of every class of the store's own, as its objects have them."""
    found = [json.loads(workshop.store.read_bytes(o.uri)) for o in workshop.store.list(f"{store}/classes/{target}s/")]
    return sorted((one["id"], one["name"]) for one in found)


def ids_of(workshop, out):
    return {clip.action: (clip.verb_class, clip.noun_class) for clip in workshop.store.read(f"{out}labels.json", LabelsFile).clips}


def test_steps_side_by_side_agree_on_every_id_and_a_killed_one_leaves_none_twice(workshop):
    store = "s3://retake-numbering"
    workshop.store.ensure_bucket(store)
    shelf = Shelf()
    verbs = [f"verb{first}{second}" for first in LETTERS for second in LETTERS]
    taken_in(shelf, [f"{verbs[n % NUM_VERBS]} noun{LETTERS[n // NUM_VERBS]}/{n}.mp4" for n in range(NUM_VIDEOS)])
    cuts = [SegmentOptions(crf=crf) for crf in (20, 21, 22)]
    for uri, data in shelf.objects.items():
        if uri.endswith("/probe.json"):
            workshop.store.write_bytes(uri.replace("s3://retake/", f"{store}/"), data)
        if uri.endswith("/clips.json"):
            clips = ClipsFile.model_validate_json(data)
            for cut in cuts:
                workshop.store.write(Layout(store).clips(clips.video, f"{cut.crf}"), clips.model_copy(update={"options": cut}))
    outs = [f"{store}/labels/{recipe_of(cut)}/" for cut in cuts]
    command = workshop.command("label", store=store, crf=20)
    with subprocess.Popen(command, cwd=REPOSITORY, env=workshop.environment, stderr=subprocess.DEVNULL) as killed:
        until = time.monotonic() + PATIENCE_SECONDS
        while not any(workshop.store.list(f"{store}/classes/verbs/")):
            assert killed.poll() is None
            assert time.monotonic() < until
        killed.kill()
    assert 0 < len(given(workshop, store, "verb")) < NUM_VERBS
    assert not workshop.store.exists(f"{outs[0]}result.json")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda crf: workshop.run("label", store=store, crf=crf), (21, 22)))
    assert ids_of(workshop, outs[1]) == ids_of(workshop, outs[2])
    for target, first in (("verb", 125), ("noun", 352)):
        numbers, names = zip(*given(workshop, store, target), strict=True)
        assert list(numbers) == list(range(first, first + len(names)))
        assert max(Counter(names).values()) == 1
    assert len(given(workshop, store, "verb")) == NUM_VERBS


@pytest.fixture
def films(ffmpeg, tmp_path):
    """Adds films of two seconds, all different, to a folder."""
    made = []

    def add(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            made.append(filmed(ffmpeg, path, seconds=2 + len(made) / 10))
        return tmp_path

    return add


def test_folders_of_any_words_make_a_dataset_and_ids_stay_when_classes_are_added_and_merged(workshop, films):
    store = "s3://retake-any-words"
    out = f"{store}/labels/{RECIPE}/"
    workshop.ingest(store, films(*(f"{name}/{n}.mp4" for name in ("knit sock", "наливать чай", "wave", "day 1") for n in (1, 2))))
    dataset = workshop.build(store)
    manifest = workshop.store.read(f"{dataset['dataset_uri']}manifest.json", Manifest)
    assert {clip.action: (clip.verb_class, clip.noun_class) for clip in manifest.clips} == {
        "knit sock": (125, 353),
        "wave": (126, 352),
        "наливать чай": (127, 354),
    }
    assert (manifest.vocabulary.num_verbs, manifest.vocabulary.num_nouns, len(manifest.clips)) == (128, 355, 6)
    train = workshop.store.read_bytes(f"{dataset['dataset_uri']}train.csv").decode()
    assert f",wave,{NO_OBJECT},wave,126,352\n" in train

    folder = films("waves/3.mp4", "sew/4.mp4")
    (folder / "train.csv").write_text(train, encoding="utf-8")
    workshop.ingest(store, folder)
    labelled = workshop.run("label", store=store)
    assert (labelled["num_labelled"], labelled["num_problems"]) == (8, 0)
    assert labelled["first_hints"] == ["'wave' 2 clips, 'waves' 1 clip: the same class? Say so in classes.csv"]
    assert ids_of(workshop, out) | {None: (None, None)} == {
        None: (None, None),
        "knit sock": (125, 353),
        "wave": (126, 352),
        "наливать чай": (127, 354),
        "sew": (128, 352),
        "waves": (129, 352),
    }

    (folder / "classes.csv").write_text("target,name,same_as\nverb,waves,wave\n")
    workshop.ingest(store, folder)
    labelled = workshop.run("label", store=store)
    assert (labelled["num_labelled"], labelled["num_problems"], labelled["first_hints"]) == (8, 0, [])
    assert "waves" not in ids_of(workshop, out)
    assert given(workshop, store, "verb") == [(125, "knit"), (126, "wave"), (127, "наливать"), (128, "sew"), (129, "waves")]
