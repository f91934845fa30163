import logging
import threading
import time
import weakref

import numpy as np
import pytest
from scipy.special import log_softmax

from tasks.errors import BadCheckpoint, BadDataset, BadVideo
from tasks.judge.statistics.scoring import NUM_PREFETCHED, NUM_TIMED_CLIPS, Timings, peak_memory_bytes, score_clips, summarise_latency
from tests.data.labels.records import dataset_clip


def clip(i, verb_class=1, noun_class=26):
    return dataset_clip(f"{i:012x}-0000", source=f"video-{i % 3}", verb_class=verb_class, noun_class=noun_class)


def load(clip):
    return np.full((8, 4, 4, 3), int(clip.uid[:12], 16), np.uint8)


def score(frames):
    """Logits that tell which clip they are of."""
    return np.full(125, frames[0, 0, 0, 0], np.float32), np.arange(352, dtype=np.float32)


class Clock(threading.local):
    """Seconds that go on only when told to, in the thread that tells."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def test_each_clip_keeps_its_own_answer_labels_and_source():
    scored, _ = score_clips([clip(i, verb_class=i, noun_class=2 * i) for i in range(7)], load, score)
    assert scored.uids[6] == "000000000006-0000"
    assert scored.sources == tuple(f"video-{i % 3}" for i in range(7))
    assert scored.verb_logits.dtype == np.float32
    assert scored.verb_logits[:, 0].tolist() == list(range(7))
    assert scored.noun_logits.shape == (7, 352)
    assert (scored.verb_classes.tolist(), scored.noun_classes.tolist()) == (list(range(7)), list(range(0, 14, 2)))


def test_clips_whose_answers_are_known_are_not_loaded_but_for_the_timed_ones():
    clips, loaded = [clip(i) for i in range(NUM_TIMED_CLIPS + 4)], []

    def watched(clip):
        loaded.append(clip)
        return load(clip)

    def known(clip):
        return None if clip is clips[-2] else score(load(clip))

    scored, timings = score_clips(clips, watched, score, known=known)
    assert scored.verb_logits[:, 0].tolist() == list(range(len(clips)))
    assert scored.uids == tuple(clip.uid for clip in clips)
    assert [clip.uid for clip in loaded[1:]] == [clip.uid for clip in (*clips[:NUM_TIMED_CLIPS], clips[-2])]
    assert len(timings.inference_seconds) == NUM_TIMED_CLIPS + 1
    loaded.clear()
    again, same = score_clips(clips, watched, score, known=lambda clip: score(load(clip)), measured=timings)
    assert (loaded, same) == ([], timings), "nothing is timed again"
    np.testing.assert_array_equal(again.verb_logits, scored.verb_logits)


def test_loss_is_cross_entropy_of_verb_plus_noun_and_survives_huge_logits(make_clips):
    clips = make_clips(5)
    heads = (clips.verb_logits, clips.verb_classes), (clips.noun_logits, clips.noun_classes)
    likely = [log_softmax(logits.astype(float), axis=1)[np.arange(5), classes] for logits, classes in heads]
    np.testing.assert_allclose(clips.losses, -sum(likely))
    scored, _ = score_clips([clip(0, noun_class=0)], load, lambda f: (np.zeros(125, np.float32), np.eye(352, dtype=np.float32)[1] * 1e4))
    np.testing.assert_allclose(scored.losses, [np.log(125) + 1e4])


def test_the_first_call_is_not_in_the_latency():
    clock, calls = Clock(), []

    def slow_load(c):
        clock.now += 0.018
        return load(c)

    def slow_score(frames):
        clock.now += 100 if not calls else 1.850
        calls.append(1)
        return score(frames)

    _, timings = score_clips([clip(i) for i in range(4)], slow_load, slow_score, clock=clock)
    assert len(calls) == 5
    np.testing.assert_allclose(timings.loading_seconds, 0.018)
    np.testing.assert_allclose(timings.inference_seconds, 1.850)
    assert timings.total_seconds == pytest.approx(4 * 1.850)


def test_clips_load_while_one_is_scored_and_never_more_than_a_few_ahead():
    loaded, ahead, num_held = [], [], []

    def counted_load(c):
        frames = load(c)
        loaded.append(weakref.ref(frames))
        return frames

    def slow_score(frames):
        done = len(ahead)  # the first call is the warm-up, on the first clip, which loads again
        deadline = time.monotonic() + 60
        while done and len(loaded) - 1 < min(done + NUM_PREFETCHED, 20) and time.monotonic() < deadline:
            time.sleep(0.001)
        ahead.append(len(loaded) - 1 - done)
        num_held.append(sum(frames() is not None for frames in loaded))
        return score(frames)

    score_clips([clip(i) for i in range(20)], counted_load, slow_score)
    assert len(ahead) == 21
    assert max(ahead) <= NUM_PREFETCHED + 1
    assert max(num_held) <= NUM_PREFETCHED + 1
    assert ahead[5] >= NUM_PREFETCHED


def test_waiting_for_a_clip_is_not_loading_it():
    clock = Clock()

    def wait(c):
        clock.now += 100

    _, timings = score_clips([clip(i) for i in range(3)], load, score, wait=wait, clock=clock)
    assert timings.loading_seconds == [0, 0, 0]


def test_a_clip_that_does_not_load_ends_the_scoring_with_its_own_error():
    def broken_load(c):
        if c.uid.startswith("000000000003"):
            raise BadVideo("clip 3 does not decode")
        return load(c)

    with pytest.raises(BadVideo, match="clip 3"):
        score_clips([clip(i) for i in range(9)], broken_load, score)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]


def test_latency_takes_medians_and_90th_percentiles_and_fps_as_the_original_experiment_did():
    latency = summarise_latency(
        Timings(np.arange(1.0, 12.0), np.arange(11.0, 0.0, -1) * 10, total_seconds=660, peak_memory_bytes=1), num_frames=8
    )
    assert (latency.loading_median_seconds, latency.loading_p90_seconds) == (6, 10)
    assert (latency.inference_median_seconds, latency.inference_p90_seconds) == (60, 100)
    latency = summarise_latency(Timings(np.full(23, 0.018), np.full(23, 1.850), total_seconds=46, peak_memory_bytes=1), num_frames=8)
    assert (round(latency.fps, 2), latency.clips_per_second, latency.num_clips) == (4.28, 0.5, 23)


@pytest.mark.parametrize(
    ("num_clips", "seconds", "first", "num_messages"),
    [(100, 1, "10/100 clips scored, 90 s left", 10), (200, 11, "2/200 clips scored, 2178 s left", 100)],
)
def test_progress_is_logged_every_tenth_or_every_20_seconds_with_the_time_left(caplog, num_clips, seconds, first, num_messages):
    clock = Clock()

    def slow_score(frames):
        clock.now += seconds
        return score(frames)

    with caplog.at_level(logging.INFO):
        score_clips([clip(i) for i in range(num_clips)], load, slow_score, clock=clock)
    assert len(caplog.messages) == num_messages
    assert (caplog.messages[0], caplog.messages[-1]) == (first, f"{num_clips}/{num_clips} clips scored, 0 s left")


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused_with_the_clip_and_so_is_an_empty_split(broken):
    with pytest.raises(BadDataset, match="no clips to score"):
        score_clips([], load, score)
    with pytest.raises(BadCheckpoint, match="000000000000-0000"):
        score_clips([clip(0)], load, lambda frames: (np.zeros(125, np.float32), np.full(352, broken, np.float32)))


def test_peak_memory_is_this_processs_own():
    before = peak_memory_bytes()
    held = np.ones(2**26, np.uint8)
    assert peak_memory_bytes() >= held.nbytes
    assert 2**20 < before < 2**36
