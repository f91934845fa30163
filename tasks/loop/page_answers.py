"""Count what the page Label has answered since labels were last gathered."""

from dataclasses import dataclass

from tasks.data.labels.ledger import Ledger, Words, num_new_labels
from tasks.store.records.status import LoopStatus


@dataclass(frozen=True)
class PageAnswers:
    """Answers of the page Label that hold.

    `num_labels` are those of `num_new_labels`, and `num_merges` merges of names, since the last build. `num_clips` are the clips whose
    first answer no build has read. `num_chosen` are the clips that the latest prediction chose and that were answered since, `num_settled`
    the doubtful labels that were changed, confirmed or merged into the likely one.
    """

    num_labels: int = 0
    num_merges: int = 0
    num_clips: int = 0
    num_chosen: int = 0
    num_settled: int = 0


def page_answers(ledger: Ledger, status: LoopStatus) -> PageAnswers:
    """Count the answers of a store's log beside the summary of the store.

    A first answer about a clip that a folder or a file labels counts as one about a clip without a label, unless an audit had asked for it:
    the log does not tell. The next build counts them anew.
    """
    num_built = status.labels.num_statements if status.labels else 0
    predicted_at = status.predictions.predictions[0].at if status.predictions and status.predictions.predictions else None
    doubtful = {} if status.model is None else status.model.doubtful or {}

    def named(verb: str, noun: str) -> Words:
        return ledger.current_name("verb", verb), ledger.current_name("noun", noun)

    # A class that was merged into the likely one leaves no doubt.
    settled = {uid for uid, words in doubtful.items() if named(*words[:2]) == named(*words[2:])}
    num_clips = num_chosen = 0
    for key, statements in ledger.clips():
        last = statements[-1]
        num_chosen += predicted_at is not None and bool(last.chosen) and last.at >= predicted_at
        if last.uid in doubtful and (last.checked or ledger.words(last) != named(*doubtful[last.uid][:2])):
            settled.add(last.uid)
        num_clips += ledger.first_number(key) > num_built and not last.checked
    num_merges = sum(ledger.number(merge) > num_built for merge in ledger.merges)
    return PageAnswers(num_new_labels(ledger, num_built), num_merges, num_clips, num_chosen, num_settled=len(settled))
