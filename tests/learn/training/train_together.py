"""Trains in two processes: `python -m tests.learn.training.train_together CASE FOLDER FRAMES…`, where each process has FOLDER/0 or FOLDER/1."""

import json
import sys
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import torch.distributed

from tasks.errors import RetakeError
from tasks.learn.inputs.data import CachedClip
from tasks.learn.training.epochs import EpochFiles
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.job import TrainJob
from tasks.learn.training.processes import is_first_process, leave_others, process_rank
from tasks.options import Consensus
from tests.learn.tiny import EXACT, HEADS, RICH, job, tiny

SAME = RICH | {"optimizer": "sgd", "learning_rate": 0.05, "crop": "multi-scale"}
"""All that several processes must do as one does."""
RELATIONS = tiny(consensus=Consensus.MULTISCALE_RELATION, num_segments=3)
CASES = {
    "fresh": {},
    "resumed": {},
    "early": {"patience": 1, "epochs": 10, "learning_rate": 0.3},
    "rich": {**SAME, "trainable": "last-stage"},
    "rich-kept": HEADS | SAME,
    "relations": {"batch_size": 4, "spec": RELATIONS},
}


def say_so(_: EpochFiles) -> None:
    sys.stdout.write("going\n")
    sys.stdout.flush()


def write(file: Path, outcome: TrainOutcome) -> None:
    file.write_text(json.dumps([outcome.stopped_early, *({**asdict(record), "seconds": 0} for record in outcome.history)]))


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
    for name, choice in CASES.items():
        write(here / f"{name}.json", fit(replace(shared(name, **choice), features=folder / "features")))
    if not is_first_process():
        # Until the first process has left.
        with suppress(RuntimeError):
            torch.distributed.barrier()
    leave_others()
    if is_first_process():
        assert not torch.distributed.is_initialized()
        write(here / "then alone.json", fit(replace(shared("then alone"), devices=1)))
    fit(shared("endless", epochs=1000), on_epoch=say_so)


if __name__ == "__main__":
    frames = [CachedClip(Path(path), i % 3, i % 2) for i, path in enumerate(sys.argv[3:])]
    try:
        train(sys.argv[1], Path(sys.argv[2]), frames)
    except RetakeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
