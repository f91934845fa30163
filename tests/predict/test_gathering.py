import shutil
import tracemalloc
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pytest

from tasks.options import PredictOptions
from tasks.predict import gathering, scored_video, to_label
from tasks.predict.gathering import gather
from tasks.predict.scored_video import ROWS_PER_GROUP, Names
from tasks.store.records.prediction import KnownLabel, ScoredVideo
from tests.judge.report.tree import csv_rows
from tests.pipeline.shelf import predict_plan, predictor
from tests.predict.material import write_scored

NAMES = Names({}, {})


@pytest.fixture
def gathered(tmp_path):
    """What is gathered of videos that have so many clips, answered by so many networks; and the folder with the files."""

    def call(*videos, labels=(), num_features=16, within=None, sizes=None, **plan):
        stored, out = (tmp_path / f"{name}{len(list(tmp_path.iterdir()))}" for name in ("stored", "out"))
        stored.mkdir()
        out.mkdir()
        scored = []
        for seed, (num_clips, roles) in enumerate(videos):
            path = stored / f"{seed}.parquet"
            write_scored(path, num_clips, seed=seed, roles=roles, num_features=num_features, sizes=sizes)
            named = {"video": f"{seed:064x}", "name": f"{seed}.mp4"}
            scored.append(ScoredVideo(**named, num_clips=num_clips, scored_uri=str(path)))
        planned = predict_plan(predictor("m"), predictor("base"), num_videos=len(scored), **plan)
        known = {uid: KnownLabel(uid=uid, verb_class=0, noun_class=0) for uid in labels}
        with within or nullcontext():
            return gather(planned, scored, known, NAMES, out, shutil.copy), out

    return call


BOTH, ALONE = ("model", "against"), ("model",)


def predicted(folder):
    return csv_rows((folder / "predictions.csv").read_bytes())


def test_a_video_that_only_in_part_fits_a_page_tells_how_much_of_it_is_shown(gathered, monkeypatch):
    monkeypatch.setattr(gathering, "MAX_SHOWN_CLIPS", 5)
    page, _ = gathered((3, BOTH), (4, BOTH), (2, BOTH))
    assert [(len(video.clips), video.num_clips) for video in page.videos] == [(3, 3), (2, 4)]
    assert page.num_clips == 9


def test_recordings_and_videos_of_the_training_are_those_of_the_plan(gathered):
    videos = [f"{seed:064x}" for seed in range(3)]
    labels = [f"{'0' * 12}_000000000-000008000"]  # the first clip of each video, for their hashes begin alike
    page, _ = gathered(
        (2, BOTH),
        (2, BOTH),
        (2, BOTH),
        labels=labels,
        sources={videos[1]: "r", videos[2]: "r"},
        trained_on=(videos[2],),
        trained_by={"against": (videos[2],)},
    )
    assert page.tally.agreements()[0].num_sources == 2
    assert [(each.is_trained_on, each.num_clips, each.num_sources) for each in page.tally.accuracies()] == [(False, 2, 2), (True, 1, 1)]
    assert [video.trained for video in page.videos] == [(), (), ("base",)]
    assert (page.num_videos_trained_on, page.num_trained_by) == (1, {"base": 1})


def test_a_plan_that_does_not_say_which_network_was_trained_on_a_video_marks_it_too(gathered):
    page, _ = gathered((1, BOTH), (1, BOTH), trained_on=(f"{1:064x}",))
    assert [video.trained for video in page.videos] == [(), ("A network",)]
    assert page.num_trained_by == {"A network": 1}


def test_networks_of_different_sizes_are_compared_by_verb_and_noun(gathered):
    # So few classes that the two often say the same.
    page, folder = gathered((200, BOTH), sizes={"model": (6, 7), "against": (5, 6)})
    best = {(row["uid"], row["network"]): row for row in predicted(folder) if row["rank"] == "1"}
    pairs = [(row, best[uid, "base"]) for (uid, network), row in best.items() if network == "m"]
    of_action = ("action_verb_class", "action_noun_class")
    alike = sum(all(ours[name] == theirs[name] for name in of_action) for ours, theirs in pairs)
    assert page.tally.agreements()[-1].num_alike == alike > 0
    assert {row["action_noun_class"] for row, _ in pairs} == set("0123456")
    assert {row["action_noun_class"] for _, row in pairs} == set("012345")
    for ours, _ in pairs:
        assert ours["action"] == f"verb-{ours['action_verb_class']} noun-{ours['action_noun_class']}"


def test_clips_on_which_the_networks_do_not_differ_are_not_among_the_differences(gathered, monkeypatch):
    monkeypatch.setattr(scored_video, "divergences", lambda *_: np.array([0, 0.0049, 0.005]))
    page, _ = gathered((3, BOTH))
    assert [clip.divergence for clip in page.differing] == [0.005]


def test_a_video_without_the_second_networks_answers_has_the_models_alone(gathered):
    page, folder = gathered((2, BOTH), (3, ALONE))
    assert {(row["video"], row["network"]) for row in predicted(folder)} == {("0.mp4", "m"), ("0.mp4", "base"), ("1.mp4", "m")}
    assert len(list((folder / "tracks").iterdir())) == 3
    assert page.tally.agreements()[0].num_clips == 2
    assert [clip.against is None for video in page.videos for clip in video.clips] == [False] * 2 + [True] * 3


def test_a_video_of_several_parts_is_one_in_every_table(gathered):
    num_clips = 2 * ROWS_PER_GROUP + 3
    page, folder = gathered((num_clips, BOTH))
    rows = [row for row in predicted(folder) if (row["network"], row["rank"]) == ("m", "1")]
    assert [float(row["start_seconds"]) for row in rows] == [8.0 * i for i in range(num_clips)]
    (shown,) = page.videos
    assert ([clip.uid for clip in shown.clips], shown.num_clips) == ([row["uid"] for row in rows], num_clips)
    for track in (folder / "tracks").iterdir():
        text = track.read_text()
        assert (text.count("WEBVTT"), text.count("-->")) == (1, num_clips)
    best = {row["uid"]: row["action"] for row in rows}
    listed = [clip.clip for clip in page.to_label]
    assert len({clip.uid for clip in listed}) == len(listed) == PredictOptions().num_to_label
    assert {clip.uid: clip.first for clip in listed}.items() <= best.items()
    assert {clip.uid: clip.model[0].action for clip in page.differing}.items() <= best.items()


class Peak:
    """The most memory that is held within, besides what was held before: Python's and NumPy's, and Arrow's."""

    def __enter__(self):
        self._before = pa.default_memory_pool()
        self._arrow = pa.proxy_memory_pool(self._before)
        pa.set_memory_pool(self._arrow)
        tracemalloc.start()

    def __exit__(self, *_):
        self.num_bytes = tracemalloc.get_traced_memory()[1] + self._arrow.max_memory()
        tracemalloc.stop()
        pa.set_memory_pool(self._before)


@pytest.mark.slow
@pytest.mark.parametrize(("roles", "num_features"), [(BOTH, 1), (ALONE, 1024)], ids=["logits", "features"])
def test_of_a_long_video_a_few_clips_are_held_at_a_time(gathered, monkeypatch, roles, num_features):
    monkeypatch.setattr(gathering, "MAX_SHOWN_CLIPS", 10)
    monkeypatch.setattr(to_label, "MAX_POOL", 10)
    peaks = [Peak() for _ in range(3)]
    for peak, num_groups in zip(peaks, (1, 2, 5), strict=True):  # the first warms up
        page, _ = gathered((num_groups * ROWS_PER_GROUP, roles), num_features=num_features, within=peak)
        assert page.num_clips == num_groups * ROWS_PER_GROUP
    # The logits of a clip by one network are 1908 bytes, 1024 features are 4096.
    assert peaks[2].num_bytes - peaks[1].num_bytes < 4 * ROWS_PER_GROUP * 1500
