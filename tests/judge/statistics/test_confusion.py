from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.judge.statistics.confusion import MAX_LISTED, confusion_of, confusions
from tasks.store.records.record import TARGETS
from tests.judge.statistics.clips import answers


def test_the_commonest_class_comes_first_what_is_only_predicted_last_and_rare_classes_share_a_row_and_a_column():
    confusion = confusion_of(answers([1, 0, 1, 1], [1, 7, 0, 7]))
    assert (confusion.rows, confusion.columns) == (("n1", "n0"), ("n1", "n0", "n7"))
    assert confusion.counts.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert confusion.support.tolist() == [3, 1]
    confusion = confusion_of(answers([0, 0, 1, 1, 2, 3], [0, 8, 1, 2, 3, 3]), max_classes=2)
    assert (confusion.rows, confusion.columns) == (("n0", "n1", "2 others"), ("n0", "n1", "3 others"))
    assert confusion.counts.tolist() == [[1, 0, 1], [0, 1, 1], [0, 0, 2]]


@settings(max_examples=30)
@given(pairs=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), min_size=1), max_classes=st.integers(1, 15))
def test_every_clip_is_counted_once_and_no_row_is_empty(pairs, max_classes):
    confusion = confusion_of(answers([t for t, _ in pairs], [p for _, p in pairs]), max_classes)
    assert confusion.counts.shape == (len(confusion.rows), len(confusion.columns))
    assert confusion.counts.sum() == len(pairs)
    assert (confusion.support > 0).all()
    assert len(confusion.columns) <= max_classes + 1


def test_the_matrices_of_a_report_hold_every_clip_of_every_network(make_clips, vocabulary):
    scored = {"baseline": make_clips(seed=1), "fine-tuned": make_clips(seed=2)}
    found = confusions(scored, vocabulary)
    assert [(c.model, c.target) for c in found] == [(model, target) for model in scored for target in TARGETS]
    assert all(sum(map(sum, c.counts)) == 20 for c in found)
    for c in found:
        errors = {(i, j): n for i, row in enumerate(c.counts) for j, n in enumerate(row) if n and c.rows[i] != c.columns[j]}
        assert {(cell.row, cell.column): cell.num_clips for cell in c.wrong} == errors
        assert all(len(cell.uids) == min(cell.num_clips, MAX_LISTED) for cell in c.wrong)
        losses = dict(zip(scored[c.model].uids, scored[c.model].losses.tolist(), strict=True))
        assert all(sorted(cell.uids, key=lambda uid: -losses[uid]) == list(cell.uids) for cell in c.wrong)
    assert all(len(c.counts) == len(c.rows) and {len(row) for row in c.counts} == {len(c.columns)} for c in found)
