"""Trials and clips of made-up searches."""

from tasks.options import LIGHT
from tasks.store.records.search import ScoredTrial, Top1
from tests.pipeline.shelf import dataset_clip


def trial(number=0, top1=None, **fields):
    """A trial with this score; without one, with these fields alone."""
    scores = {} if top1 is None else {"scores": {"action": Top1(top1=top1, interval=(0, 1))}, "loss": 1.0}
    return ScoredTrial.model_validate({"number": number, "round": 1, "values": {}, "options": LIGHT, **scores, **fields})


def clip(uid="a", source="x", **fields):
    return dataset_clip(uid, "val", source=source, **fields)
