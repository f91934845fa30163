"""Trains in two processes: `python -m tests.model.train_together CASE FOLDER FRAMES…`, where each process has FOLDER/0 or FOLDER/1."""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from tasks.errors import RetakeError
from tasks.model.data import CachedClip
from tasks.model.epochs import EpochFiles
from tasks.model.job import TrainJob
from tasks.model.network import Network
from tasks.model.processes import is_first_process, process_rank
from tasks.model.spec import Consensus
from tasks.model.training import TrainOutcome, fit
from tests.model.test_training import EXACT, job

RICH = {
    "optimizer": "sgd",
    "learning_rate": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "weight_decay": 0.01,
    "label_smoothing": 0.1,
    "sampler": "balanced",
    "crop": "multi-scale",
    "color_jitter": 0.2,
    "ema_decay": 0.5,
    "accumulate_batches": 2,
    "clip_norm": 1,
}
"""All that several processes must do as one does."""


def say_so(_: EpochFiles) -> None:
    sys.stdout.write("going\n")
    sys.stdout.flush()


def told(outcome: TrainOutcome) -> str:
    return json.dumps([outcome.stopped_early, *({**asdict(record), "seconds": 0} for record in outcome.history)])


def train(case: str, folder: Path, clips: list[CachedClip]) -> None:
    here = folder / str(process_rank())

    def shared(name: str, **choice) -> TrainJob:
        """Three clips to train and three to validate, so that every last batch is one clip short."""
        whole = job(here / name, clips, **{**EXACT, "epochs": 2, **choice})
        return replace(whole, train=clips[:3], val=clips[3:], devices=2)

    if case == "fail":
        # What the first process never reads.
        gone = [replace(clip, frames=folder / "gone.npy") for clip in clips[:3]]
        fit(shared("fail") if is_first_process() else replace(shared("fail"), train=gone))
    for name, choice in {"kept": {}, "rich-kept": RICH}.items():
        kept = shared(name, trainable="heads", feature_variants=2, **choice)
        (here / f"{name}.json").write_text(told(fit(replace(kept, features=folder / "features"))))
    others = {"rich": {**RICH, "trainable": "last-stage"}, "mixed": {"mixup": 0.4, "batch_size": 4}}
    for name, choice in {"fresh": {}, "resumed": {}, "early": {"patience": 1, "epochs": 10, "learning_rate": 0.3}, **others}.items():
        (here / f"{name}.json").write_text(told(fit(shared(name, **choice))))
    whole = shared("relations")
    spec = whole.network.spec.model_copy(update={"consensus": Consensus.MULTISCALE_RELATION, "num_segments": 3})
    (here / "relations.json").write_text(told(fit(replace(whole, network=Network(spec, seed=1)))))
    fit(shared("endless", epochs=1000), on_epoch=say_so)


if __name__ == "__main__":
    frames = [CachedClip(Path(path), i % 3, i % 2) for i, path in enumerate(sys.argv[3:])]
    try:
        train(sys.argv[1], Path(sys.argv[2]), frames)
    except RetakeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
