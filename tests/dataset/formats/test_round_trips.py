"""What is written in another tool's format labels the same clips alike when it is read again."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.dataset.formats.written import WRITERS
from tasks.dataset.spans import LabelSpan, video_spans
from tasks.results.video import VideoRecord
from tests.dataset.formats.told import actions

NUM_CLIPS = 3
VIDEOS = ["kitchen/a.mp4", "garden/a.mp4", "P01_01.MP4", 'Küche 2/über, "so" 100%.mp4|copy/x.mp4', "0123abcd-b.mp4", "b.mp4", "7.mp4"]
VERBS = ["put", "take", "turn-on", "wave", "pick-up", "öffnen", "take-off"]
NOUNS = ["meat", "bag", "", "hob:oven", "on", "tomato-sauce", "Dose 2"]


def record(name, video, fps):
    return VideoRecord(
        video=video,
        uri=f"s3://retake/videos/{video}/source.mp4",
        size_bytes=1,
        names=tuple(name.split("|")),
        container="mp4",
        codec="h264",
        pixel_format="yuv420p",
        width=2,
        height=2,
        rotation_degrees=0,
        fps=fps,
        duration_seconds=NUM_CLIPS * 8,
        has_audio=False,
    )


def csv(rows):
    def cell(text):
        return '"' + text.replace('"', '""') + '"'

    lines = [
        f"{cell(VIDEOS[video].split('|')[0])},{start},{start + length},{cell(verb)},{cell(noun)}"
        for video, start, length, verb, noun in rows
    ]
    return "video,start_seconds,stop_seconds,verb,noun\n" + "\n".join(lines)


rows = st.lists(
    st.tuples(
        st.integers(0, len(VIDEOS) - 1),
        st.integers(0, NUM_CLIPS * 8 - 1),
        st.integers(1, 24),
        st.sampled_from(VERBS),
        st.sampled_from(NOUNS),
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("name", WRITERS)
@example(rows=[(5, 0, 8, "take-off", ""), (2, 8, 8, "turn-on", "on")], fps=25, is_known=False)
@given(rows=rows, fps=st.sampled_from([23.976, 24, 25, 30000 / 1001, 60]), is_known=st.booleans())
def test_labels_come_back(label, name, rows, fps, is_known):
    written = label(dict.fromkeys(VIDEOS, NUM_CLIPS), {"labels.csv": csv(rows)}, fps=fps)
    videos = [record("|".join(clip.names), clip.clip.video, fps) for clip in written.clips if clip.clip.index == 0]
    suffix, write = WRITERS[name]
    content = write(video_spans(videos, written.clips, {}))
    # Another store, and this one, in which the words are known from other files.
    files = {"labels.csv": csv(rows)} if is_known else {}
    found = label(
        dict.fromkeys(VIDEOS, NUM_CLIPS), files | {f"exported{suffix}": content}, fps=fps, min_overlap=0.9 if name == "label-studio" else 1
    )
    assert actions(found) == actions(written)
    assert found.problems == () or not any(actions(written))
    assert found.changes == ()


def test_clips_of_one_line_are_one_span_and_their_times_are_kept(label):
    written = label({"a.mp4": 3}, {"labels.csv": "video,start_seconds,stop_seconds,verb,noun\na,0,16,put,meat\na,16,24,put,meat\n"})
    (video,) = video_spans([record("a.mp4", written.clips[0].clip.video, 30)], written.clips, {})
    assert [(span.start_seconds, span.stop_seconds) for span in video.labels] == [(0, 16), (16, 24)]


def test_predictions_are_pre_annotations_of_label_studio_with_scores_and_no_labels(label):
    clips = label({"a.mp4": 2}).clips
    guesses = [LabelSpan(0, 8, "put", "meat", score=0.5), LabelSpan(8, 16, "put", "meat", score=0.7)]
    videos = video_spans([record("a.mp4", clips[0].clip.video, 25)], clips, {clips[0].clip.video: guesses})
    content = WRITERS["label-studio"][1](videos)
    (task,) = json.loads(content)
    (prediction,) = task["predictions"]
    assert prediction["score"] == pytest.approx(0.6)
    (result,) = prediction["result"]
    assert result["value"] == {"ranges": [{"start": 1, "end": 400}], "timelinelabels": ["put meat"]}
    assert result["score"] == pytest.approx(0.6)
    assert task["annotations"] == []
    assert task["data"]["fps"] == 25
    assert actions(label({"a.mp4": 2}, {"export.json": content})) == [None, None]


def test_an_export_for_epic_has_its_columns():
    spans = video_spans([record("P01_01.MP4", "0" * 64, 50)], [], {})
    (line,) = WRITERS["epic"][1](spans).decode().splitlines()
    assert (
        line
        == "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
    )
