"""Which labels a person sees in *Review*."""

from tasks.dataset.statements import Ledger
from tasks.labelling.asked import ReviewQuery
from tasks.labelling.clips import Cut
from tasks.labelling.desk import View
from tasks.labelling.queue import Reader
from tasks.labelling.review import reviewed
from tasks.labelling.suggestions import Suggestions
from tests.labelling.test_queue import Writer, cut_of


def test_a_second_reader_sees_no_label_of_a_clip_that_another_cut_has():
    labelled, log = cut_of(1), Writer()
    (clip,) = labelled.clips.values()
    log.clip(clip, "put", "meat", by="anna")
    shown = Cut("other", labelled.options, {}, {})

    def seen(*cuts: Cut) -> tuple[int, int]:
        view = View(shown, Suggestions(), {}, ())
        found = reviewed(view, cuts, Ledger.of(log.entries), ReviewQuery(), Reader("ben", may_label=True, second_share=1))
        return found["num_rows"], found["num_hidden"]

    assert seen(shown, labelled) == (0, 1)
    assert seen(shown) == (1, 0), "nobody can read it any more"
