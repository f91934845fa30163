import json
import shutil
from contextlib import closing
from itertools import pairwise, starmap

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import entropy

from tasks.data.labels.exported import LabelSpan, VideoSpans
from tasks.data.labels.formats.video_datasets import write_activitynet
from tasks.errors import BadInput
from tasks.predict.files import PredictionTables, block, file_stem, opening, shown_intervals, write_intervals
from tasks.predict.interval_scores import table, when_scores
from tasks.predict.scored import ROWS_PER_GROUP, Names, ScoredWriter, Window, answered, find_intervals, read_scored
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tasks.store.records.prediction import KnownInterval, KnownLabels, PredictedVideo, Predictor, ScoredVideo
from tasks.store.records.record import TARGETS, VERB_ALONE
from tasks.store.records.video import Interval
from tests.http_servers import served
from tests.judge.report.tree import csv_rows
from tests.predict.material import clip, write_scored
from tests.predict.pages import planned
from tests.records import some

NAMES = Names({0: "take", 1: "put"}, {20: "=bag", 26: "meat"})
VIDEOS = tuple(f"{n:064x}" for n in range(3))
VIDEO_NAMES = {VIDEOS[0]: "é <1>.mp4", VIDEOS[1]: "other/é <1>.mp4", VIDEOS[2]: VIDEOS[2]}


def scored(folder, video, said, roles=("model", "against")):
    """A video of 24 s in windows every 2 s, of which `said(second)` gives verb, noun and how sure the networks are."""
    path = folder / f"{video}.stored"
    with ScoredWriter(path) as writer:
        for start in range(0, 17, 2):
            verb, noun, sure = said(start + 4)
            verbs, nouns = np.zeros(125, np.float32), np.zeros(352, np.float32)
            verbs[verb] = nouns[noun] = sure
            window = Window(f"{video[:12]}_{start}", "" if start % 8 else "s3://clip", start, start + 8)
            writer.add(window, dict.fromkeys(roles, (verbs, nouns)), np.empty(0, np.float32), None)
    return ScoredVideo(video=video, name="é <1>.mp4", num_clips=3, scored_uri="", windows_uri=str(path))


def said(second):
    """Take a bag up to 12 s, then put meat, less surely."""
    return (0, 20, 12) if second < 12 else (1, 26, 5)


@pytest.fixture
def find(tmp_path):
    def call(plan, *says, names=NAMES, roles=("model", "against")):
        videos = [scored(tmp_path, video, each, roles) for video, each in zip(VIDEOS, says, strict=False)]
        return find_intervals(plan, videos, names, tmp_path, shutil.copy)

    return call


def rows(folder, name="intervals"):
    return csv_rows((folder / f"{name}.csv").read_bytes())


def test_table_track_and_json_hold_what_is_reported(find, tmp_path):
    plan = planned(0.5)
    write_intervals(plan, find(plan, said), NAMES, VIDEO_NAMES, tmp_path)
    (ours, theirs) = rows(tmp_path)
    grey = [(row["network"], row["start_seconds"], row["action"]) for row in rows(tmp_path, "not_reported")]
    assert grey == [("m", "12.0", "put meat"), ("base", "12.0", "put meat")]
    found_in = {"video": "é <1>.mp4", "video_sha256": VIDEOS[0], "network": "m", "start_seconds": "0.0", "stop_seconds": "12.0"}
    named = {"verb": "take", "noun": "'=bag", "action": "take =bag", "verb_class": "0", "noun_class": "20"}
    assert ours == found_in | named | {"probability": ours["probability"]}
    assert 0.5 < float(ours["probability"]) < 1
    assert theirs == ours | {"network": "base"}
    written = json.loads((tmp_path / "intervals.model.json").read_text())
    assert written["version"] == "VERSION 1.3"
    ((name, listed),) = written["results"].items()
    assert listed == [{"label": "take =bag", "score": float(ours["probability"]), "segment": [0.0, 12.0]}]
    assert name == "é <1>"
    (track,) = (each.read_text() for each in (tmp_path / "tracks").glob("*.model.intervals.vtt"))
    assert track.startswith("WEBVTT\n\nNOTE when: m on é &lt;1&gt;.mp4")
    assert "\n00:00:00.000 --> 00:00:12.000\ntake =bag, " in track
    assert track.count("-->") == 1


def test_the_results_name_videos_as_exported_labels_do(find, tmp_path):
    plan = planned(None)
    write_intervals(plan, find(plan, said, said, said), NAMES, VIDEO_NAMES, tmp_path)
    results = json.loads((tmp_path / "intervals.model.json").read_text())["results"]
    labels = [VideoSpans(VIDEO_NAMES[video], "", 30, 24, (LabelSpan(0, 12, "take", "bag"),), ()) for video in VIDEOS]
    assert list(results) == list(json.loads(write_activitynet(labels))["database"]) == ["é <1>", "other/é <1>.mp4", VIDEOS[2]]


def test_where_val_never_reaches_the_precision_no_interval_is_reported_but_all_are_scored(find, tmp_path):
    plan = planned(None, reports=False)
    all_of_them = find(plan, said)
    write_intervals(plan, all_of_them, NAMES, VIDEO_NAMES, tmp_path)
    assert rows(tmp_path) == []
    assert "-->" not in next((tmp_path / "tracks").iterdir()).read_text()
    assert list(json.loads((tmp_path / "intervals.model.json").read_text())["results"].values()) == [[]]
    shown = shown_intervals(all_of_them[0], NAMES)
    assert all(own and all(each.is_not_reported for each in own) for own in shown.values())
    (scores,) = when_scores(plan, all_of_them, known(labelled(VIDEOS[0], (0, 12, 0, 20))), NAMES)
    assert scores.networks["model"]["action"].mean == 1


@pytest.mark.parametrize("verbs_alone", [False, True])
def test_where_a_network_says_that_nothing_happens_it_reports_and_scores_no_interval(find, tmp_path, verbs_alone):
    plan, names = planned(None), Names(NAMES.verbs | {7: NOTHING}, NAMES.nouns | {30: NO_OBJECT})
    names = names.of_verbs() if verbs_alone else names
    idle = find(plan, lambda second: (7, 30, 12) if second < 12 else (1, 26, 5), names=names)
    write_intervals(plan, idle, names, VIDEO_NAMES, tmp_path)
    reported = [(row["network"], row["start_seconds"], row["verb"]) for row in rows(tmp_path)]
    assert reported == [("m", "12.0", "put"), ("base", "12.0", "put")]
    for written in (*(tmp_path / "tracks").iterdir(), *tmp_path.glob("*.json")):
        assert NOTHING not in written.read_text()
    assert [len(shown) for shown in shown_intervals(idle[0], names).values()] == [1, 1]
    (scores,) = when_scores(plan, idle, known(labelled(VIDEOS[0], (12, 24, 1, 26))), names)
    assert all(each.mean == 1 for each in scores.networks["model"].values())
    assert [len(own) for own in idle[0].intervals.values()] == [1, 1]


def test_of_verbs_alone_an_action_is_a_verb_with_its_probability(find, tmp_path):
    plan, names = planned(None, against=False), NAMES.of_verbs()
    write_intervals(plan, find(plan, said, names=names, roles=("model",)), names, VIDEO_NAMES, tmp_path)
    listed = rows(tmp_path)
    assert list(listed[0]) == ["video", "video_sha256", "network", "start_seconds", "stop_seconds", "verb", "verb_class", "probability"]
    assert [row["verb"] for row in listed] == ["take", "put"]
    assert not (tmp_path / "intervals.against.json").exists()
    assert NO_OBJECT not in (tmp_path / "intervals.model.json").read_text()


def labelled(video, *intervals):
    return [KnownInterval(video=video, start_seconds=a, stop_seconds=b, verb_class=verb, noun_class=noun) for a, b, verb, noun in intervals]


def known(intervals, covered=None):
    return KnownLabels(labels=(), intervals=tuple(intervals), covered=covered)


@pytest.mark.parametrize(
    ("covered", "num_masked", "mean"),
    [(None, 0, 0.5), ({VIDEOS[0]: ((0, 12),), VIDEOS[1]: ((0, 24),)}, 1, 1), ({VIDEOS[0]: ((0, 18),), VIDEOS[1]: ((0, 24),)}, 0, 0.5)],
)
def test_an_interval_where_nobody_labelled_anything_is_neither_right_nor_wrong(find, covered, num_masked, mean):
    """The first film is labelled in part: what is found in the rest of it comes first, and was wrong."""
    plan = planned(None, against=False)
    truth = [*labelled(VIDEOS[0], (0, 12, 0, 20)), *labelled(VIDEOS[1], (0, 12, 0, 20), (12, 24, 1, 26))]
    stretches = covered and {video: tuple(Interval(start_seconds=a, stop_seconds=b) for a, b in own) for video, own in covered.items()}
    (scores,) = when_scores(plan, find(plan, said, said, roles=("model",)), known(truth, stretches), NAMES)
    assert scores.num_masked == num_masked
    put = next(each for each in scores.networks["model"]["verb"].classes if each.label == 1)
    assert put.by_tiou[-1] == pytest.approx(mean)


def test_networks_are_scored_next_to_always_guessing_and_training_videos_apart(find):
    plan = planned(0.9999, trained_on=(VIDEOS[2],), measured_on=VIDEOS[2:], sources={VIDEOS[1]: VIDEOS[0]})
    truth = [
        *labelled(VIDEOS[0], (0, 12, 0, 20), (12, 24, 1, 26)),
        *labelled(VIDEOS[1], (0, 12, 0, 20), (12, 24, 1, 20), (2, 3, 0, 20)),
        *labelled(VIDEOS[2], (0, 24, 1, 26)),
    ]
    others, trained = when_scores(plan, find(plan, said, said, said), known(truth), NAMES)
    assert when_scores(plan.model_copy(update={"measured_on": VIDEOS[1:]}), find(plan, said, said), known(truth), NAMES)[1].group == "val"
    assert (others.is_trained_on, others.num_videos, others.num_sources, others.num_labelled) == (False, 2, 1, 5)
    assert (trained.is_trained_on, trained.num_videos, trained.num_labelled) == (True, 1, 1)
    verb, noun, action = (others.networks["model"][target] for target in ("verb", "noun", "action"))
    assert [(each.label, each.num_labelled) for each in verb.classes] == [(0, 3), (1, 2)]
    assert verb.by_tiou[-1] == pytest.approx((2 / 3 + 1) / 2), "below the threshold too"
    assert noun.by_tiou[-1] == pytest.approx((2 / 4 + 1 / 2) / 2), "of equal scores neither comes first"
    assert len(action.classes) == 3
    assert others.guessed == {"verb": "take", "noun": "=bag", "action": "take =bag"}
    assert others.guessing["action"].mean < action.mean
    assert [each.name for each in others.classes("action")] == ["take =bag", "put =bag", "put meat"]
    lines = csv_rows(table((others, trained), plan, NAMES))
    mean = next(line for line in lines if (line["network"], line["target"], line["class"]) == ("m", "verb", "(mean of classes)"))
    assert float(mean["ap_0.5"]) == pytest.approx((2 / 3 + 1) / 2, abs=1e-6)
    assert {line["network"] for line in lines} == {"m", "base", "always guessing"}
    assert {(line["ap_mean_low"], line["ap_mean_high"]) for line in lines} == {("", "")}, "one source video shows no spread"
    assert not others.has_intervals


def test_from_two_source_videos_on_means_and_classes_have_intervals(find):
    plan = planned(None)
    truth = [*labelled(VIDEOS[0], (0, 12, 0, 20), (12, 24, 1, 26)), *labelled(VIDEOS[1], (0, 12, 0, 20), (12, 24, 1, 20))]
    scores = when_scores(plan, find(plan, said, said), known(truth), NAMES)
    assert scores[0].has_intervals
    for line in csv_rows(table(scores, plan, NAMES)):
        if line["class"] in ("meat", "put =bag", "put meat"):
            assert line["ap_mean_low"] == line["ap_mean_high"] == ""
        else:
            assert 0 <= float(line["ap_mean_low"]) <= float(line["ap_mean"]) <= float(line["ap_mean_high"]) <= 1


def test_without_labelled_intervals_nothing_is_scored(find):
    plan = planned(None)
    assert when_scores(plan, find(plan, said), known([]), NAMES) == ()
    assert when_scores(plan, find(plan, said), known(labelled(VIDEOS[1], (0, 8, 0, 20))), NAMES) == ()


def test_videos_with_windows_of_one_network_are_left_out_for_both_and_counted(find):
    plan = planned(None)
    both, alone = find(plan, said), find(plan, said, said, roles=("model",))[1:]
    truth = [*labelled(VIDEOS[0], (0, 12, 0, 20)), *labelled(VIDEOS[1], (0, 12, 0, 20))]
    (scores,) = when_scores(plan, [*both, *alone], known(truth), NAMES)
    assert (scores.num_videos, scores.num_left_out) == (1, 1)
    (scores,) = when_scores(plan, alone, known(truth), NAMES)
    assert (scores.num_videos, scores.num_left_out, set(scores.networks)) == (1, 0, {"model"})


NAMES_OF_TABLES = Names({0: "take", 1: "put"}, {20: "bag", 26: "meat"})
NETWORKS = {
    role: some(Predictor, verb_temperature=verb, noun_temperature=noun) for role, verb, noun in (("model", 1, 1), ("against", 2, 0.5))
}
NAME = '=1+1, "a"\n<b>.mp4'


def test_what_was_scored_is_read_back_bit_for_bit(tmp_path):
    logits, features = write_scored(tmp_path / "a.parquet", ROWS_PER_GROUP + 3)
    parts = list(read_scored(tmp_path / "a.parquet", with_features=True))
    assert [part.features.shape for part in read_scored(tmp_path / "a.parquet")] == [(ROWS_PER_GROUP, 0), (3, 0)]
    assert [uid for part in parts for uid in part.uids] == [clip(i).uid for i in range(ROWS_PER_GROUP + 3)]
    for role in ("model", "against"):
        for head in (0, 1):
            assert np.array_equal(np.concatenate([part.logits[role][head] for part in parts]), logits[role][head])
    assert np.array_equal(np.concatenate([part.features for part in parts]), features)
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2


def test_no_more_of_a_file_is_held_than_is_looked_at(tmp_path):
    write_scored(tmp_path / "a.parquet", 16 * ROWS_PER_GROUP)
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in read_scored(tmp_path / "a.parquet")]
    assert len(held) == 16
    assert max(held) < (tmp_path / "a.parquet").stat().st_size / 2


def test_one_network_and_no_known_clips_leave_holes(tmp_path):
    path = tmp_path / "a.parquet"
    with ScoredWriter(path) as writer:
        writer.add(clip(0), {"model": (np.zeros(125, np.float32), np.zeros(352, np.float32))}, np.zeros(4, np.float32), None)
    (clips,) = read_scored(path)
    assert list(clips.logits) == ["model"]
    assert np.isnan(clips.novelty).all()
    assert answered(clips, NETWORKS, TARGETS).divergences.shape == (0,)


@pytest.mark.parametrize("content", [b"", b"no table"])
def test_what_is_no_such_file_is_named(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.parquet is not a Parquet file"):
        list(read_scored(tmp_path / "a.parquet"))


@pytest.fixture
def tables(tmp_path):
    """Two videos of three and two clips."""
    with PredictionTables(tmp_path / "p.csv", tmp_path / "p.parquet", NAMES_OF_TABLES) as made:
        for number, num_clips in enumerate((3, 2)):
            write_scored(tmp_path / "s.parquet", num_clips, seed=number)
            (clips,) = read_scored(tmp_path / "s.parquet")
            said = answered(clips, NETWORKS, TARGETS)
            video = PredictedVideo(video=f"{number:064x}", name=NAME)
            made.add(video, clips, {"m 1": said.ranked["model"], "base": said.ranked["against"]})
    return csv_rows((tmp_path / "p.csv").read_bytes()), pq.ParquetFile(tmp_path / "p.parquet")


def test_there_is_a_row_a_clip_network_and_rank_and_a_row_group_each_time(tables):
    rows, parquet = tables
    assert len(rows) == 5 * 2 * 5 == parquet.metadata.num_rows
    assert parquet.num_row_groups == 2
    assert len({(row["video_sha256"], row["uid"], row["network"], row["rank"]) for row in rows}) == len(rows)
    table = parquet.read().to_pylist()
    assert [row["action"] for row in table] == [row["action"] for row in rows]
    assert {row["video"] for row in table} == {NAME}
    assert {row["video"] for row in rows} == {'\'=1+1, "a" <b>.mp4'}, "no name is a formula in a spreadsheet"


def test_probabilities_fall_with_the_rank_and_actions_are_products(tables):
    rows, _ = tables
    for first, second in pairwise(rows):
        if second["rank"] != "1":
            for target in ("verb", "noun", "action"):
                assert float(first[f"{target}_probability"]) >= float(second[f"{target}_probability"])
    best = rows[0]
    assert best["action"] == f"{best['verb']} {best['noun']}"
    product = float(best["verb_probability"]) * float(best["noun_probability"])
    assert float(best["action_probability"]) == pytest.approx(product, abs=1e-5)


def test_of_verbs_alone_a_row_has_the_verb_alone_and_divergence_and_entropy_are_of_verbs(tmp_path):
    names = NAMES_OF_TABLES.of_verbs()
    logits, _ = write_scored(tmp_path / "s.parquet", 3)
    (clips,) = read_scored(tmp_path / "s.parquet")
    said = answered(clips, NETWORKS, names.targets)
    of_verbs = [[names.action(verb, 0) for verb in row] for row in said.ranked["model"]["verb"].ids.tolist()]
    assert said.ranked["model"]["action"].ids.tolist() == of_verbs
    assert said.ranked["model"]["action"].probabilities.tolist() == said.ranked["model"]["verb"].probabilities.tolist()
    likely = softmax(logits["model"][0].astype(float), axis=1)
    assert said.entropies == pytest.approx(entropy(likely, base=125, axis=1))
    divergences = jensenshannon(likely, softmax(logits["against"][0] / 2, axis=1), base=2, axis=1) ** 2
    assert said.divergences == pytest.approx(divergences, abs=1e-6)
    with PredictionTables(tmp_path / "p.csv", tmp_path / "p.parquet", names) as made:
        made.add(PredictedVideo(video="0" * 64, name=NAME), clips, {"m 1": said.ranked["model"]})
    rows = csv_rows((tmp_path / "p.csv").read_bytes())
    assert not [name for name in rows[0] if "noun" in name or "action" in name]
    assert {"verb", "verb_class", "verb_probability"} <= rows[0].keys() == set(pq.read_schema(tmp_path / "p.parquet").names)


def test_an_action_without_an_object_is_its_verb():
    names = Names({0: "wave", 1: "put"}, {352: NO_OBJECT, 26: "meat"})
    assert [names.name("action", names.action(*each)) for each in ((0, 352), (1, 26))] == ["wave", "put meat"]
    assert names.of_verbs().name("action", names.of_verbs().action(1, 26)) == "put"
    assert names.of_verbs().targets == VERB_ALONE


@pytest.mark.parametrize(
    ("name", "stem"),
    [("a b/c.d 1.mp4", "c-d-1"), ("小麦 🍔.mp4", "小麦-🍔"), ("م‮\0\n|<>:?.mp4", "م"), ("...", "video"), ("🍔" * 200, "🍔" * 40)],
)
def test_files_keep_the_names_of_videos_in_any_script(name, stem):
    assert file_stem(PredictedVideo(video="ab" * 32, name=name)) == f"{stem}-abababababab"


FORGED = "two\nlines\n\n00:00:09.000 --> 00:00:10.000\nforged"
HOSTILE = ["a --> b", "<b>put</b> & <script>alert(1)</script>", FORGED, "NOTE", "WEBVTT", "é ж 肉"]


def web_vtt(title, cues):
    return opening(title) + "".join(starmap(block, cues))


def test_a_cue_says_when_what_and_how_likely():
    track = web_vtt("model on a.mp4", [(0, 8, "put meat", 0.6249), (3608, 3610.5, "take bag", 1)])
    assert track == (
        "WEBVTT\n\nNOTE model on a.mp4\n\n00:00:00.000 --> 00:00:08.000\nput meat, 62.5 %\n\n"
        "01:00:08.000 --> 01:00:10.500\ntake bag, 100.0 %\n"
    )


@settings(max_examples=50)
@given(st.text(), st.text(), st.floats(0, 1e5), st.floats(0, 1e5))
def test_no_name_ends_its_cue_or_begins_another(title, action, start, length):
    track = web_vtt(title, [(start, start + length, action, 0.5)])
    assert track.count("-->") == 1
    blocks = track.rstrip("\n").split("\n\n")
    assert len(blocks) == 3
    assert len(blocks[2].split("\n")) == 2
    begins, ends = blocks[2].split("\n")[0].split(" --> ")
    assert begins < ends or len(begins) < len(ends)


@pytest.mark.browser
def test_a_browser_reads_every_cue_as_it_was_meant(browser, tmp_path):
    cues = [(8 * i, 8 * i + 8, action, 0.25) for i, action in enumerate(HOSTILE)]
    (tmp_path / "track.vtt").write_text(web_vtt("a --> <b>", cues), encoding="utf-8")
    (tmp_path / "page.html").write_text('<!DOCTYPE html><video><track default kind="subtitles" src="track.vtt"></video>')
    with served(tmp_path) as address, closing(browser.new_page()) as page:
        page.goto(f"{address}/page.html")
        page.wait_for_function("() => document.querySelector('track').readyState >= 2")
        read = page.evaluate(
            "() => [...document.querySelector('video').textTracks[0].cues].map(c => [c.startTime, c.endTime, c.getCueAsHTML().textContent, "
            "c.getCueAsHTML().children.length])"
        )
    assert read == [[start, stop, f"{' '.join(action.split())}, 25.0 %", 0] for start, stop, action, _ in cues]
