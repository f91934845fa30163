import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.judge.statistics.answers import action_id, answers_of, from_parquet, rank, to_parquet, verb_and_noun
from tasks.judge.statistics.scoring import CERTAIN_LOGIT


def test_predictions_come_back_bit_for_bit(make_clips, vocabulary):
    clips, same = make_clips(50), make_clips(50)
    for scored in (clips, same):
        scored.verb_logits[0, 0], scored.verb_classes[1] = CERTAIN_LOGIT, scored.verb_logits.shape[1]
    written = to_parquet(clips, vocabulary)
    assert written == to_parquet(same, vocabulary)
    assert pd.read_parquet(io.BytesIO(written)).loss[1] == np.inf
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


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), step=st.sampled_from([0.0, 0.25]))
def test_best_actions_are_those_of_the_whole_product(make_clips, vocabulary, seed, step):
    clips = make_clips(3, seed=seed)
    if step:  # coarse logits, so that many are equal
        clips = replace(clips, verb_logits=np.round(clips.verb_logits / step) * step, noun_logits=np.round(clips.noun_logits / step) * step)
    ranked = answers_of(clips, vocabulary)["action"].ranked
    for i in range(3):
        verb, noun = clips.verb_logits[i].astype(float), clips.noun_logits[i].astype(float)
        log_probabilities = (verb - np.log(np.exp(verb).sum()))[:, None] + (noun - np.log(np.exp(noun).sum()))[None, :]
        best = np.sort(log_probabilities.ravel())[::-1][:5]
        np.testing.assert_allclose([log_probabilities[verb_and_noun(action)] for action in ranked[i].tolist()], best)
        assert len(set(ranked[i].tolist())) == 5


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_an_action_is_right_when_verb_and_noun_are_right_and_equal_logits_rank_by_class_id(make_clips, vocabulary, seed):
    assert rank(np.zeros((1, 125), np.float32)).tolist() == [[0, 1, 2, 3, 4]]
    answers = answers_of(make_clips(10, seed=seed), vocabulary)
    assert (answers["action"].right == (answers["verb"].right & answers["noun"].right)).all()


def test_names_come_from_the_vocabulary_or_from_the_id(make_clips, vocabulary):
    clips = make_clips(1, classes=1)
    logits = np.zeros((1, 352), np.float32)
    logits[0, 26] = 9
    answers = answers_of(replace(clips, noun_logits=logits), vocabulary)
    assert answers["verb"].names[0] == "take"
    assert answers["noun"].names == {0: "noun-0", 26: "meat"}
    assert answers["action"].names[action_id(int(answers["verb"].predicted[0]), 26)].endswith(" meat")
