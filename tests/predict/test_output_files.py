import json
from contextlib import closing
from itertools import pairwise, starmap

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import entropy

from tasks.data.labels.exported import LabelSpan, VideoSpans
from tasks.data.labels.formats.video_datasets import write_activitynet
from tasks.predict.interval_scores import when_scores
from tasks.predict.output_files import PredictionTables, block, file_stem, opening, shown_intervals, write_intervals
from tasks.predict.scored_video import Names, answered, read_scored
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tasks.store.records.prediction import PredictedVideo, Predictor
from tasks.store.records.record import TARGETS
from tests.http_servers import served
from tests.judge.report.tree import csv_rows
from tests.predict.material import NAMES, VIDEOS, known, labelled, said, write_scored
from tests.predict.pages import planned
from tests.records import some

VIDEO_NAMES = {VIDEOS[0]: "é <1>.mp4", VIDEOS[1]: "other/é <1>.mp4", VIDEOS[2]: VIDEOS[2]}


def rows(folder, name="intervals"):
    return csv_rows((folder / f"{name}.csv").read_bytes())


def test_table_track_and_json_hold_the_reported_intervals(find, tmp_path):
    plan = planned(0.5)
    write_intervals(plan, find(plan, said), NAMES, VIDEO_NAMES, tmp_path)
    (ours, theirs) = rows(tmp_path)
    grey = [(row["network"], row["start_seconds"], row["action"]) for row in rows(tmp_path, "not_reported")]
    assert grey == [("m", "12.0", "put meat"), ("base", "12.0", "put meat")]
    place = {"video": "é <1>.mp4", "video_sha256": VIDEOS[0], "network": "m", "start_seconds": "0.0", "stop_seconds": "12.0"}
    named = {"verb": "take", "noun": "'=bag", "action": "take =bag", "verb_class": "0", "noun_class": "20"}
    assert ours == place | named | {"probability": ours["probability"]}
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


NETWORKS = {
    role: some(Predictor, verb_temperature=verb, noun_temperature=noun) for role, verb, noun in (("model", 1, 1), ("against", 2, 0.5))
}
NAME = '=1+1, "a"\n<b>.mp4'


@pytest.fixture
def tables(tmp_path):
    """Two videos of three and two clips."""
    with PredictionTables(tmp_path / "p.csv", tmp_path / "p.parquet", NAMES) as made:
        for number, num_clips in enumerate((3, 2)):
            write_scored(tmp_path / "s.parquet", num_clips, seed=number)
            (clips,) = read_scored(tmp_path / "s.parquet")
            ranked = answered(clips, NETWORKS, TARGETS).ranked
            video = PredictedVideo(video=f"{number:064x}", name=NAME)
            made.add(video, clips, {"m 1": ranked["model"], "base": ranked["against"]})
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
    names = NAMES.of_verbs()
    logits, _ = write_scored(tmp_path / "s.parquet", 3)
    (clips,) = read_scored(tmp_path / "s.parquet")
    answers = answered(clips, NETWORKS, names.targets)
    of_verbs = [[names.action(verb, 0) for verb in row] for row in answers.ranked["model"]["verb"].ids.tolist()]
    assert answers.ranked["model"]["action"].ids.tolist() == of_verbs
    assert answers.ranked["model"]["action"].probabilities.tolist() == answers.ranked["model"]["verb"].probabilities.tolist()
    likely = softmax(logits["model"][0].astype(float), axis=1)
    assert answers.entropies == pytest.approx(entropy(likely, base=125, axis=1))
    divergences = jensenshannon(likely, softmax(logits["against"][0] / 2, axis=1), base=2, axis=1) ** 2
    assert answers.divergences == pytest.approx(divergences, abs=1e-6)
    with PredictionTables(tmp_path / "p.csv", tmp_path / "p.parquet", names) as made:
        made.add(PredictedVideo(video="0" * 64, name=NAME), clips, {"m 1": answers.ranked["model"]})
    rows = csv_rows((tmp_path / "p.csv").read_bytes())
    assert not [name for name in rows[0] if "noun" in name or "action" in name]
    assert {"verb", "verb_class", "verb_probability"} <= rows[0].keys() == set(pq.read_schema(tmp_path / "p.parquet").names)


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


def test_a_cue_has_the_time_the_action_and_its_probability():
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
