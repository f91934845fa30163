import logging
import math
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tasks.errors import BadConfiguration, Unavailable
from tasks.model.checkpoints import load
from tasks.model.class_names import ClassNames
from tasks.model.data import CachedClip
from tasks.model.epochs import EpochFiles
from tasks.model.job import TrainJob
from tasks.model.network import Network, weights_sha256
from tasks.model.spec import NetworkSpec
from tasks.model.training import TrainOutcome, fit
from tasks.options import TrainOptions

REPOSITORY = Path(__file__).resolve().parents[2]
OPTIONS = TrainOptions(backbone="test_resnet", epochs=3, learning_rate=1e-3, batch_size=2, num_segments=2)
EXACT = {"batch_norm": "frozen"}
"""What makes a batch's loss the same in whatever parts it is computed."""


def job(folder: Path, clips: list[CachedClip], **choice) -> TrainJob:
    spec = NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=5, num_nouns=4)
    classes = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))
    options = TrainOptions.model_validate(OPTIONS.model_dump() | choice)
    return TrainJob(Network(spec, seed=1), classes, clips[:4], clips[4:], options, folder, device="cpu")


class Stop(Exception):
    """What ends a training between two epochs."""


def stop_after(epoch: int):
    def hook(files: EpochFiles) -> None:
        if files.records[-1].epoch == epoch:
            raise Stop

    return hook


def scores(outcome: TrainOutcome) -> list:
    return [replace(record, seconds=0) for record in outcome.history]


def same_files(one: Path, two: Path) -> None:
    assert (one / "best.pt").read_bytes() == (two / "best.pt").read_bytes()
    ours, theirs = (learnt(torch.load(folder / "last.ckpt", weights_only=True)) for folder in (one, two))
    assert ours == theirs


def learnt(checkpoint: dict) -> list:
    """All that a checkpoint says of weights, averages, optimizer, schedule and history, but how long it took."""
    parts = ["state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "callbacks", "global_step"]

    def flat(value, name: str) -> list:
        if isinstance(value, dict):
            return [found for key, inner in value.items() if key != "seconds" for found in flat(inner, f"{name}.{key}")]
        if isinstance(value, list | tuple):
            return [found for index, inner in enumerate(value) for found in flat(inner, f"{name}.{index}")]
        return [(name, value.tolist() if isinstance(value, torch.Tensor) else value)]

    return [found for part in parts for found in flat(checkpoint.get(part, {}), part)]


def curves(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard shows: by tag, the value of each step."""
    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def test_training_learns_and_leaves_the_best_and_the_last(clips, tmp_path: Path):
    undisturbed = fit(job(tmp_path, clips))
    first, *_, last = undisturbed.history
    assert last.train.loss < first.train.loss
    assert undisturbed.best_val_loss == min(record.val.loss for record in undisturbed.history)
    saved = load(undisturbed.best)
    assert saved.classes.nouns == tuple("wxyz")
    assert weights_sha256(saved.network) != weights_sha256(Network(saved.network.spec, seed=1))
    assert undisturbed.hardware.versions["torch"] == torch.__version__
    assert list((undisturbed.best.parent / "tensorboard").glob("events*"))


DIE_IN_THE_SECOND_EPOCH = """
import dataclasses, json, os, signal, sys
from pathlib import Path
from tests.model.test_training import CHOICES, fit, job
from tasks.model.data import CachedClip

class Deadly(list):
    num_reads = 0
    def __getitem__(self, key):
        clip = super().__getitem__(key)
        if isinstance(key, int):
            Deadly.num_reads += 1
            if Deadly.num_reads == 7:
                os.kill(os.getpid(), signal.SIGKILL)
        return clip

clips = [CachedClip(Path(path), i % 3, i % 2) for i, path in enumerate(sys.argv[2:])]
for name, choice in CHOICES.items():
    if pid := os.fork():
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    else:
        whole = job(Path(sys.argv[1]) / name, clips, **choice)
        fit(dataclasses.replace(whole, train=Deadly(whole.train)))
        os._exit(0)
"""


RICH = {
    "trainable": "last-stage",
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "layer_decay": 0.5,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "label_smoothing": 0.1,
    "sampler": "balanced",
    "crop": "multi-scale",
    "color_jitter": 0.4,
    "mixup": 0.4,
    "dropout": 0.5,
    "train_frames": "middle",
    "mirror": False,
    "validation_crops": 10,
    "ema_decay": 0.9,
    "accumulate_batches": 2,
    "clip_norm": 1,
    "batch_norm": "train",
    "precision": "bf16-mixed",
}


CHOICES = {"default": {}, "rich": RICH}


@pytest.fixture(scope="module")
def killed(clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What trainings left that were killed in their second epoch: a folder for each of the choices."""
    folder = tmp_path_factory.mktemp("killed")
    subprocess.run(
        [sys.executable, "-c", DIE_IN_THE_SECOND_EPOCH, str(folder), *(str(clip.frames) for clip in clips)], cwd=REPOSITORY, check=True
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOICES)
def test_killed_in_an_epoch_and_begun_again_is_as_if_undisturbed(killed, name, clips, tmp_path: Path):
    choice = CHOICES[name]
    undisturbed = fit(job(tmp_path / "undisturbed", clips, **choice))
    (tmp_path / "here").mkdir()
    for file in ("best.pt", "last.ckpt"):
        shutil.copyfile(killed / name / file, tmp_path / "here" / file)
    resumed = fit(job(tmp_path / "here", clips, **choice))
    assert scores(resumed) == scores(undisturbed)
    same_files(resumed.best.parent, undisturbed.best.parent)
    assert curves(resumed.best.parent) == curves(undisturbed.best.parent)


def test_sigterm_ends_a_training_as_what_a_retry_mends(clips, tmp_path: Path):
    with pytest.raises(Unavailable, match="SIGTERM"):
        fit(job(tmp_path, clips), on_epoch=lambda _: signal.raise_signal(signal.SIGTERM))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_finished_training_begun_again_trains_no_more(clips, tmp_path: Path):
    first = fit(job(tmp_path, clips, epochs=1))
    again = fit(job(tmp_path, clips, epochs=1))
    assert again.history == first.history


def test_early_stopping_holds_where_it_stopped_even_if_killed_there(clips, tmp_path: Path):
    choice = {"patience": 1, "epochs": 10, "learning_rate": 0.3}
    outcome = fit(job(tmp_path / "one", clips, **choice))
    assert outcome.stopped_early
    assert outcome.best_epoch == len(outcome.history) - 2
    with pytest.raises(Stop):
        fit(job(tmp_path / "two", clips, **choice), on_epoch=stop_after(len(outcome.history) - 1))
    assert scores(fit(job(tmp_path / "two", clips, **choice))) == scores(outcome)


def test_the_hook_sees_both_files_and_each_epoch_is_one_line(clips, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    seen = []
    with caplog.at_level(logging.INFO, logger="tasks.model"):
        fit(job(tmp_path, clips, epochs=2, validate_every=2, trainable="heads"), on_epoch=seen.append)
    assert [(files.last.exists(), files.best is not None, files.best_is_new) for files in seen] == [
        (True, False, False),
        (True, True, True),
    ]
    assert seen[0].records[0].val is None
    assert [record.getMessage()[:10] for record in caplog.records] == ["epoch 1/2;", "epoch 2/2;"]
    assert "top-1 verb" in caplog.text
    assert "left" in caplog.text


@pytest.mark.parametrize("trainable", ["all", "heads"])
def test_without_objects_verbs_alone_are_learned_and_told_of(clips, tmp_path: Path, caplog: pytest.LogCaptureFixture, trainable):
    planned = job(tmp_path / "run", clips, epochs=2, trainable=trainable)
    planned = replace(planned, classes=planned.classes.model_copy(update={"has_objects": False}), features=tmp_path / "features")
    before = planned.network.head.fc_noun.weight.detach().clone()
    with caplog.at_level(logging.INFO, logger="tasks.model"):
        outcome = fit(planned)
    saved = load(outcome.best)
    assert not saved.classes.has_objects
    assert torch.equal(saved.network.head.fc_noun.weight, before)
    assert not torch.equal(saved.network.head.fc_verb.weight, Network(saved.network.spec, seed=1).head.fc_verb.weight)
    assert outcome.best_val_loss == min(record.val.verb_loss for record in outcome.history)
    assert "verb" in caplog.text
    assert not {word for word in ("noun", "action") if word in caplog.text}
    assert {tag for tag in curves(tmp_path / "run") if tag.startswith("val/")} == {"val/loss", "val/verb_loss", "val/verb_top1"}


def test_bfloat16_trains_on_a_cpu_and_float16_is_refused(clips, tmp_path: Path):
    assert fit(job(tmp_path / "bf16", clips, epochs=1, precision="bf16-mixed")).best_val_loss > 0
    with pytest.raises(BadConfiguration, match="16-mixed needs a GPU"):
        fit(job(tmp_path / "fp16", clips, precision="16-mixed"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU, and a CPU trains in no 16-bit floating point but bfloat16")
def test_float16_trains_on_a_gpu(clips, tmp_path: Path):
    planned = replace(job(tmp_path, clips, epochs=8, precision="16-mixed"), device="cuda")
    outcome = fit(planned)
    losses = [record.train.loss for record in outcome.history]
    assert len(losses) == planned.options.epochs
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    states = load(outcome.best).network.state_dict()
    assert {str(one.dtype) for one in states.values() if one.is_floating_point()} == {"torch.float32"}


def test_a_loss_that_is_never_a_number_is_named(clips, tmp_path: Path):
    with pytest.raises(BadConfiguration, match="never finite"):
        planned = job(tmp_path, clips, epochs=1)
        fit(replace(planned, options=planned.options.model_copy(update={"learning_rate": 1e30})))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(clips, tmp_path: Path):
    with pytest.raises(BadConfiguration, match="finds no GPU"):
        fit(replace(job(tmp_path, clips), device="cuda"))
