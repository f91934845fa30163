"""Trials and clips of made-up searches."""

from tasks.options import LIGHT
from tasks.results.dataset import DatasetClip
from tasks.results.search import ScoredTrial, Top1


def trial(number=0, top1=None, **fields):
    """A trial with this score; without one, with these fields alone."""
    scores = {} if top1 is None else {"scores": {"action": Top1(top1=top1, interval=(0, 1))}, "loss": 1.0}
    return ScoredTrial.model_validate({"number": number, "round": 1, "values": {}, "options": LIGHT, **scores, **fields})


def clip(uid="a", source="x", start_seconds=0, stop_seconds=8, **fields):
    of_film = {"split": "val", "source": source, "names": (), "video": "v", "uri": "s3://b/c", "sha256": "0", "origin": "a.csv"}
    of_label = {"verb": "put", "noun": "meat", "verb_class": 1, "noun_class": 26}
    of_picture = {"start_seconds": start_seconds, "stop_seconds": stop_seconds, "num_frames": 240, "width": 64, "height": 64}
    return DatasetClip.model_validate({"uid": uid, **of_film, **of_label, **of_picture, **fields})
