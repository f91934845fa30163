"""Score a long training's kept heads on val, clip by clip."""

from pathlib import Path

import numpy as np

from tasks.judge.statistics.long_training import KeptAnswers, to_parquet
from tasks.judge.statistics.metrics import with_actions
from tasks.judge.statistics.scoring import ScoredClips, with_nouns_given
from tasks.learn.training.cached_heads import score_heads
from tasks.learn.training.epochs import head_file
from tasks.learn.training.job import TrainJob
from tasks.learn.training.progress import is_power_of_two
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.runs import Training


def keep_answers(job: TrainJob, num_epochs: int, training: Training, manifest: Manifest, store: Store) -> tuple[int, ...]:
    """Write the answers of all kept heads, and list their epochs, from 0."""
    files: dict[int, Path] = {}
    for number in range(1, num_epochs + 1):
        if is_power_of_two(number) or number == num_epochs:
            files[number - 1] = job.folder / head_file(number)
            if not files[number - 1].exists():
                # An earlier try trained this far.
                store.read_file(training.heads(number), files[number - 1])
    clips = [clip for clip in manifest.clips if clip.split == "val"]
    kept = []
    for epoch, verbs, nouns in score_heads(job, files):
        scored = ScoredClips(
            uids=tuple(clip.uid for clip in clips),
            sources=tuple(clip.source for clip in clips),
            verb_classes=np.array([clip.verb_class for clip in clips]),
            noun_classes=np.array([clip.noun_class for clip in clips]),
            verb_logits=verbs,
            noun_logits=nouns,
        )
        scored = with_actions(with_nouns_given(scored, manifest.vocabulary), manifest.vocabulary)
        kept.append(KeptAnswers.of(epoch, scored, manifest.vocabulary))
    store.write_bytes(training.answers, to_parquet(kept))
    return tuple(files)
