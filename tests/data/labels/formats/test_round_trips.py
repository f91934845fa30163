"""What is written in another tool's format labels the same clips alike when it is read again."""

import io
import json
import re
import zipfile
from types import MappingProxyType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.data.labels.all_files import current_intervals, read_files
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.exported import CurrentIntervals, LabelSpan, exported_labels, video_spans
from tasks.data.labels.formats import formats
from tasks.data.labels.video_names import KnownVideos, VideoIndex
from tasks.data.labels.vocabulary import OwnClasses
from tasks.wording import safe_cell
from tests.data.labels.formats.test_video_datasets import EPIC_55
from tests.data.labels.records import INTERVALS, actions, video_record

NUM_CLIPS = 3
VIDEOS = ["kitchen/a.mp4", "garden/a.mp4", "P01_01.MP4", 'Küche 2/über, "so" 100%.mp4|copy/x.mp4', "0123abcd-b.mp4", "b.mp4", "7.mp4"]
VERBS = ["put", "take", "turn-on", "wave", "pick-up", "öffnen", "take-off"]
NOUNS = ["meat", "bag", "", "hob:oven", "on", "tomato-sauce", "Dose 2"]


def record(name, video, fps):
    return video_record(video, names=tuple(name.split("|")), fps=fps, duration_seconds=NUM_CLIPS * 8)


def csv(rows):
    def cell(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [
        f"{cell(VIDEOS[video].split('|')[0])},{start:g},{start + length:g},{cell(verb)},{cell(noun)}"
        for video, start, length, verb, noun in rows
    ]
    return INTERVALS + "\n".join(lines)


def spoken(*where):
    return st.tuples(st.integers(0, len(VIDEOS) - 1), *where, st.sampled_from(VERBS), st.sampled_from(NOUNS))


def seconds(least, most):
    return st.integers(least, most).map(lambda tick: tick * 0.4)


rows = st.lists(spoken(seconds(0, NUM_CLIPS * 20 - 1), seconds(1, 60)), min_size=1, max_size=8)
answers = st.lists(spoken(st.integers(0, NUM_CLIPS - 1)), max_size=6)


def standing(written, files, fps):
    """What the intervals of all files say, as the store gathers them."""
    names = {clip.clip.video: clip.names for clip in written.clips}
    places = VideoIndex((), names)
    given = [AnnotationFile(name, text if isinstance(text, bytes) else text.encode()) for name, text in files.items()]
    read = read_files(given, OwnClasses(), KnownVideos(places, dict.fromkeys(names, fps)))
    return CurrentIntervals(current_intervals(read.files, places, names.keys()), read.verbs, read.nouns)


def exported(written, files, fps, name, min_overlap):
    """Write what people labelled in a format; `written` are its clips."""
    labels = exported_labels(standing(written, files, fps), written.clips, written.by_interval, min_overlap)
    videos = [record("|".join(clip.names), clip.clip.video, fps) for clip in written.clips if clip.clip.index == 0]
    return formats().writers[name].write(video_spans(videos, labels, {}))


def files_of(name, content):
    """The file that was written, or those in an archive, as people take them in."""
    suffix = formats().writers[name].suffix
    if suffix != ".zip":
        return {f"exported{suffix}": content}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {f"exported/{member}": archive.read(member) for member in archive.namelist()}


def told(intervals):
    """The intervals by video; two of one label and extent are one."""
    return {
        (video, round(span.start_seconds, 6), round(span.stop_seconds, 6), span.text)
        for video in intervals.by_video
        for span in intervals.spans(video)
    }


@pytest.mark.parametrize("name", formats().writers)
@settings(max_examples=25)
@example(rows=[(5, 0, 8, "take-off", ""), (2, 8, 8, "turn-on", "on")], fps=25, is_known=False)
@example(
    rows=[(0, 3.5, 7.5, "take", "bag"), (0, 5, 4, "put", "meat"), (0, 10.2, 0.7, "take", "bag"), (1, 1, 12.3, "öffnen", "bag")],
    fps=25,
    is_known=True,
)
@given(rows=rows, fps=st.sampled_from([24, 25, 60]), is_known=st.booleans())
def test_intervals_come_back_exactly_whatever_clips_they_label(label, name, rows, fps, is_known):
    # Label Studio and CVAT count whole frames, and CVAT none behind the last.
    if name in ("label-studio", "cvat"):
        rows = [row for row in rows if all(abs(part * fps - round(part * fps)) < 1e-6 for part in row[1:3])]
    if name == "cvat":
        rows = [row for row in rows if row[1] + row[2] <= NUM_CLIPS * 8]
    files = {"labels.csv": csv(rows)} if rows else {}
    written = label(dict.fromkeys(VIDEOS, NUM_CLIPS), files, fps=fps)
    content = exported(written, files, fps, name, 0.25)
    # Another store, and this one, in which the words are known from other files.
    again = (files if is_known else {}) | files_of(name, content)
    again_labelled = label(dict.fromkeys(VIDEOS, NUM_CLIPS), again, fps=fps)
    before, after = told(standing(written, files, fps)), told(standing(again_labelled, again, fps))
    assert before <= after
    # What folders say of the other clips is in no file of the first store.
    assert {text for *_, text in after - before} <= {"kitchen", "garden", "copy"}
    assert actions(again_labelled) == actions(written)
    assert again_labelled.problems == () or not rows
    assert again_labelled.changes == ()


@pytest.mark.parametrize("name", formats().writers)
@settings(max_examples=25)
@example(rows=[(0, 3.2, 20.4, "put", "meat")], answers=[(0, 1, "take", "bag")], fps=30000 / 1001)
@example(rows=[(0, 0.4, 10, "put", "meat"), (0, 10, 10, "put", "meat")], answers=[(0, 1, "take", "bag")], fps=25)
@given(rows=rows, answers=answers, fps=st.sampled_from([23.976, 24, 25, 30000 / 1001, 60]))
def test_answers_about_clips_come_back_beside_intervals(label, make, name, rows, answers, fps):
    latest = {make.clip(VIDEOS[video], index).uid: (verb, noun) for video, index, verb, noun in answers}
    lines = "".join(f'{uid},{verb},"{noun}"\n' for uid, (verb, noun) in latest.items())
    files = {"labels.csv": csv(rows), "page.csv": f"uid,verb,noun\n{lines}"}
    written = label(dict.fromkeys(VIDEOS, NUM_CLIPS), files, fps=fps)
    content = exported(written, files, fps, name, 0.25)
    labelling = label(dict.fromkeys(VIDEOS, NUM_CLIPS), files_of(name, content), fps=fps)
    assert {clip.clip.uid: clip.action for clip in labelling.clips if clip.clip.uid in latest} == {
        clip.clip.uid: clip.action for clip in written.clips if clip.clip.uid in latest
    }


def spans(label, files, videos=MappingProxyType({"a.mp4": 3})):
    written = label(dict(videos), files)
    labels = exported_labels(standing(written, files, 30), written.clips, written.by_interval, 0.25)
    ordered = sorted(labels[written.clips[0].clip.video], key=lambda span: span.start_seconds)
    return [(span.start_seconds, span.stop_seconds, span.text) for span in ordered]


def test_the_label_of_a_video_is_exported_for_the_clips_of_which_no_interval_says_it(label):
    files = {"list.csv": "uid,verb,noun\na,put,meat\n", "times.csv": f"{INTERVALS}a,1,3.5,take,bag\n"}
    assert spans(label, files) == [(1, 3.5, "take bag"), (8, 24, "put meat")]
    assert spans(label, {"times.csv": f"{INTERVALS}put_meat,1,2,take,bag\n"}, {"kitchen/put_meat/a.mp4": 2}) == [(0, 16, "put meat")]
    assert spans(label, {"times.csv": f"{INTERVALS}a,1,5,put,meat\n"}, {"kitchen/put_meat/a.mp4": 2}) == [
        (1, 5, "put meat"),
        (8, 16, "put meat"),
    ]


def test_a_clip_that_was_labelled_otherwise_later_is_cut_out_of_the_interval_over_it(label, make):
    files = {
        "1.csv": f"{INTERVALS}a,3.5,20,put,meat\na,9,10,open,door\n",
        "2.csv": f"uid,verb,noun\n{make.clip('a.mp4', 1).uid},take,bag\n",
    }
    assert spans(label, files) == [(3.5, 8, "put meat"), (8, 16, "take bag"), (9, 10, "open door"), (16, 20, "put meat")]


def test_intervals_of_a_later_file_replace_those_that_they_cover_by_half(label):
    files = {"1.csv": f"{INTERVALS}a,0,8,put,meat\na,16,24,put,meat\n", "2.csv": f"{INTERVALS}a,2,7,take,bag\na,21,24,take,bag\n"}
    assert spans(label, files) == [(2, 7, "take bag"), (16, 24, "put meat"), (21, 24, "take bag")]


def test_predictions_are_pre_annotations_of_label_studio_with_scores_and_no_labels(label):
    (clip, _) = label({"a.mp4": 2}).clips
    guesses = [LabelSpan(0, 8, "put", "meat", score=0.5), LabelSpan(8, 16, "put", "meat", score=0.7)]
    videos = video_spans([record("a.mp4", clip.clip.video, 25)], {}, {clip.clip.video: guesses})
    content = formats().writers["label-studio"].write(videos)
    (task,) = json.loads(content)
    (prediction,) = task["predictions"]
    assert prediction["score"] == pytest.approx(0.6)
    (result,) = prediction["result"]
    assert result["value"] == {"ranges": [{"start": 1, "end": 400}], "timelinelabels": ["put meat"]}
    assert result["score"] == pytest.approx(0.6)
    assert task["annotations"] == []
    assert task["data"]["fps"] == 25
    assert actions(label({"a.mp4": 2}, {"export.json": content})) == [None, None]


@pytest.mark.parametrize("name", ["csv", "epic"])
def test_a_video_called_like_a_formula_is_none_in_a_table_and_gets_its_labels_back(label, name):
    videos = dict.fromkeys(["=cmd()!A1.mp4", "'=cmd.mp4", "a;@b.mp4"], 1)
    files = {"labels.csv": INTERVALS + "".join(f"{safe_cell(video)},0,8,put,meat\n" for video in videos)}
    content = exported(label(videos, files), files, 30, name, 0.25)
    assert not re.search(r'(^|[,;|])"?[=+@-]', content.decode(), re.MULTILINE)
    assert actions(label(videos, files_of(name, content))) == ["put meat"] * 3


def test_an_export_for_epic_has_its_columns():
    spans = video_spans([record("P01_01.MP4", "0" * 64, 50)], {}, {})
    (line,) = formats().writers["epic"].write(spans).decode().splitlines()
    assert line == EPIC_55


def test_a_document_of_elan_names_the_film_beside_it():
    records = [record("a/film.mp4", "0" * 64, 25), record("b/film.mp4", "1" * 64, 25)]
    spans = video_spans(records, {"0" * 64: [LabelSpan(0, 8, "put", "meat")]}, {})
    (file,) = files_of("elan", formats().writers["elan"].write(spans)).values()
    assert re.findall('MEDIA_URL="(.+?)"', file.decode()) == ["file:///a/film.mp4", "./film.mp4"]


def test_labels_at_the_same_time_are_in_tiers_of_their_own_for_elan_where_none_may_overlap():
    labels = {"0" * 64: [LabelSpan(0, 8, "put", "meat"), LabelSpan(4, 12, "take", "bag"), LabelSpan(8, 9, "wash", "cup")]}
    (file,) = files_of("elan", formats().writers["elan"].write(video_spans([record("a.mp4", "0" * 64, 25)], labels, {}))).values()
    tiers = re.findall(r'TIER_ID="(.+?)"(.*?)</TIER>', file.decode(), re.DOTALL)
    assert {name: re.findall("VALUE>(.+?)<", tier) for name, tier in tiers} == {
        "action": ["put meat", "wash cup"],
        "action@2": ["take bag"],
    }
