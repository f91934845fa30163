from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import softmax
from scipy.stats import entropy

from tasks.errors import BadInput
from tasks.predict.answered import answered
from tasks.predict.names import Names
from tasks.predict.scored import ROWS_PER_GROUP, ScoredWriter, read_scored
from tasks.predict.tables import PredictionTables
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.prediction import PredictedVideo, Predictor
from tasks.store.records.record import TARGETS, VERB_ALONE
from tests.judge.report.tree import csv_rows
from tests.predict.material import clip, write_scored
from tests.records import some

NAMES = Names({0: "take", 1: "put"}, {20: "bag", 26: "meat"})
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
    (found,) = read_scored(path)
    assert list(found.logits) == ["model"]
    assert np.isnan(found.novelty).all()
    assert answered(found, NETWORKS, TARGETS).divergences.shape == (0,)


@pytest.mark.parametrize("content", [b"", b"no table"])
def test_what_is_no_such_file_is_named(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.parquet is not a Parquet file"):
        list(read_scored(tmp_path / "a.parquet"))


@pytest.fixture
def tables(tmp_path):
    """Two videos of three and two clips."""
    with PredictionTables(tmp_path / "p.csv", tmp_path / "p.parquet", NAMES) as made:
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
    names = NAMES.of_verbs()
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
    assert [names.name("action", names.action(*one)) for one in ((0, 352), (1, 26))] == ["wave", "put meat"]
    assert names.of_verbs().name("action", names.of_verbs().action(1, 26)) == "put"
    assert names.of_verbs().targets == VERB_ALONE
