import io

import numpy as np
import pandas as pd
import pytest

from tasks.errors import BadInput
from tasks.judge.statistics.scores_file import from_parquet, to_parquet


def test_predictions_come_back_bit_for_bit(make_clips, vocabulary):
    clips = make_clips(50)
    written = to_parquet(clips, vocabulary)
    assert written == to_parquet(make_clips(50), vocabulary)
    back = from_parquet(written, "s3://retake/p.parquet")
    assert (back.uids, back.sources) == (clips.uids, clips.sources)
    for field in ("verb_classes", "noun_classes", "verb_logits", "noun_logits", "losses"):
        np.testing.assert_array_equal(getattr(back, field), getattr(clips, field))
        assert getattr(back, field).dtype == getattr(clips, field).dtype


def test_a_person_can_read_them_with_pandas(make_clips, vocabulary):
    clips = make_clips(40)
    table = pd.read_parquet(io.BytesIO(to_parquet(clips, vocabulary)))
    assert (table.action_right == (table.verb_right & table.noun_right)).all()
    assert (table.verb_right == (table.verb == table.predicted_verb)).all()
    assert (table.verb_right == (table.verb_class == table.predicted_verb_class)).all()
    assert set(table.verb) == {"take", "put", "verb-2"}
    assert 0 < table.verb_right.sum() < 40
    assert table.noun_logits[7].argmax() == table.predicted_noun_class[7]
    np.testing.assert_allclose(table.loss, clips.losses)


@pytest.mark.parametrize("make", [lambda: b"no parquet", lambda: damaged(table_of({"uid": ["a"]})), lambda: table_of({"uid": ["a"]})])
def test_another_file_is_refused_by_name(make):
    with pytest.raises(BadInput, match=r"s3://retake/p\.parquet"):
        from_parquet(make(), "s3://retake/p.parquet")


def damaged(data):
    return data[:-30] + bytes(22) + data[-8:]


def table_of(columns):
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer)
    return buffer.getvalue()
