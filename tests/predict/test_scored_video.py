import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import BadInput
from tasks.predict.scored_video import ROWS_PER_GROUP, Names, ScoredWriter, answered, read_scored
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.prediction import Predictor
from tasks.store.records.record import TARGETS, VERB_ALONE
from tests.predict.material import clip, write_scored
from tests.records import some


def test_scores_are_read_back_bit_for_bit(tmp_path):
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
    assert answered(clips, {"model": some(Predictor)}, TARGETS).divergences.shape == (0,)


@pytest.mark.parametrize("content", [b"", b"no table"])
def test_a_file_that_is_no_table_is_named(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.parquet is not a Parquet file"):
        list(read_scored(tmp_path / "a.parquet"))


def test_an_action_without_an_object_is_its_verb():
    names = Names({0: "wave", 1: "put"}, {352: NO_OBJECT, 26: "meat"})
    assert [names.name("action", names.action(*each)) for each in ((0, 352), (1, 26))] == ["wave", "put meat"]
    assert names.of_verbs().name("action", names.of_verbs().action(1, 26)) == "put"
    assert names.of_verbs().targets == VERB_ALONE
