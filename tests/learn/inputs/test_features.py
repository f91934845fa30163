import logging
import os
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.errors import Unavailable
from tasks.learn.engines import choice as choice_of_engine
from tasks.learn.engines.engine import prepare
from tasks.learn.inputs import features
from tasks.learn.inputs.crops import Augmentation
from tasks.learn.inputs.data import View
from tasks.learn.inputs.features import FeatureCache, compute_features, see_by_torch, training_features
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import CONSENSUS_OF_HEADS
from tasks.learn.training import job as job_of_training
from tasks.learn.training.fit import fit
from tasks.learn.training.job import compute_missing, open_cache, views_of
from tests.learn.tiny import HEADS, figures, job, kept_job, passes_of, state_of, tiny

FIGURES_OF_VIEWS = [
    [50, 150, 127.5, 127, 222],
    [0, 120, 104.5, 93.3, 172],
    [0, 130, 124.5, 138.5, 233],
    [90, 160, 135, 125.3, 34],
    [0, 120, 95.6, 173.1, 92],
]
"""Of each view: its two frames, where the crop lies in height and width, and the column at its right edge, all in grey levels."""


def compute(network: Network, views: list[View], kept: FeatureCache, **choice) -> None:
    see = partial(see_by_torch, network, torch.device("cpu"), "32-true")
    compute_features(see, network.spec, views, kept, num_workers=0, **choice)


@pytest.fixture
def kept(tmp_path: Path, tiny_network: Network) -> FeatureCache:
    return training_features(tmp_path / "features", tiny_network, "32-true")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("choice", "tolerance", "compares_weights"),
    [
        # A high rate, so that the best epoch is not the last.
        ({"learning_rate": 0.3, "epochs": 6, "crop": "multi-scale", "class_weights": "balanced"}, 1e-5, True),
        ({"precision": "bf16-mixed", "epochs": 1}, 2e-2, False),
        *(({"head": head, "spec": tiny(consensus=consensus), "epochs": 1}, 1e-3, False) for head, consensus in CONSENSUS_OF_HEADS.items()),
    ],
    ids=["linear", "bf16-mixed", *CONSENSUS_OF_HEADS],
)
def test_heads_on_kept_features_train_as_they_do_through_the_backbone(clips, tmp_path: Path, choice, tolerance, compares_weights):
    through = fit(job(tmp_path / "through", clips, **HEADS | choice))
    kept = fit(kept_job(tmp_path / "kept", clips, **choice))
    assert kept.best_epoch == through.best_epoch
    assert figures(kept) == pytest.approx(figures(through), rel=tolerance)
    if compares_weights:
        assert through.best_epoch < 5
        theirs = state_of(through)
        for name, tensor in state_of(kept).items():
            torch.testing.assert_close(tensor, theirs[name], msg=name)


@pytest.mark.slow
def test_a_sweep_computes_nothing_again(clips, tmp_path: Path):
    def num_computed(name: str, **choice) -> int:
        before = len(list((tmp_path / "features").rglob("*.npy")))
        fit(kept_job(tmp_path / name, clips, **choice))
        return len(list((tmp_path / "features").rglob("*.npy"))) - before

    recipe = {"optimizer": "sgd", "schedule": "cosine", "dropout": 0.2, "label_smoothing": 0.1, "batch_size": 4, "epochs": 4}
    fixed = {"train_frames": "middle", "crop": "centre", "mirror": False}
    assert num_computed("first") == 4 * 2 + 2
    assert num_computed("recipe", **recipe) == 0
    assert num_computed("seed", seed=1) == 4 * 2
    assert num_computed("ten fixed crops", validation_crops=10, **fixed) == 4 + 2 * 10


def test_features_are_filed_under_all_that_they_follow_from(tmp_path: Path, monkeypatch):
    def folder(network: Network, precision: str = "32-true") -> Path:
        return training_features(tmp_path, network, precision).folder

    network, other_head = Network(tiny(), seed=1), Network(tiny(), seed=1)
    torch.nn.init.zeros_(other_head.head.fc_verb.weight)
    altered = Network(tiny(), seed=1)
    next(altered.backbone.buffers())[0] += 1
    assert folder(other_head) == folder(network)
    others = [folder(altered), folder(Network(tiny(), seed=2)), folder(network, "bf16-mixed")]
    for change in ({"num_segments": 3}, {"sampling_window": 0.5}, {"interpolation": "bicubic"}, {"temporal_shift": True}):
        otherwise = Network(tiny(), seed=1)
        otherwise.spec = tiny(**change)  # alone: a shift would also rename the weights
        others.append(folder(otherwise))
    for change in ({"arrange": "reversed"}, {"scale": 1.0}, {"mean": (0.0, 0.0, 0.0)}, {"std": (1.0, 1.0, 1.0)}):
        otherwise = Network(tiny(), seed=1)
        otherwise.input_format = replace(otherwise.input_format, **change)
        others.append(folder(otherwise))
    before = folder(network)
    monkeypatch.setattr("tasks.learn.inputs.features.frames_made_by", lambda: "av-99.0-pillow-13.0.0")
    others.append(folder(network))
    monkeypatch.setattr(features, "VIEWS_VERSION", features.VIEWS_VERSION + 1)
    assert len({before, folder(network), *others}) == 2 + len(others)


def test_views_of_this_version_show_what_they_always_did(tmp_path: Path):
    """Kept features outlive the code: where this fails on purpose, VIEWS_VERSION goes up with the figures."""
    numbers, rows, columns = np.ogrid[:20, :256, :300]
    frames = np.stack([array + 0 * (numbers + rows + columns) for array in (10 * numbers, rows, columns * 255 // 299)], 3)
    np.save(tmp_path / "clip.npy", frames.astype(np.uint8))
    shown = [
        View(tmp_path / "clip.npy", *draw).images(tiny()).float()
        for draw in ((None, 0), (0, 0), (0, 1), (7, 0), (0, 0, Augmentation("multi-scale")))
    ]
    measured = [
        [*images[:, 0].mean((1, 2)).tolist(), *(images[0, c].mean().item() for c in (1, 2)), images[0, 2, 0, -1].item()] for images in shown
    ]
    assert features.VIEWS_VERSION == 1
    np.testing.assert_allclose(measured, FIGURES_OF_VIEWS, atol=1.5)


def test_what_is_damaged_is_computed_again_and_the_rest_is_not(clips, tiny_network, kept):
    passes, views = passes_of(tiny_network), [View(clip.frames) for clip in clips]
    compute(tiny_network, views, kept)
    paths = [kept.path(view.name) for view in views]
    good = [path.read_bytes() for path in paths]
    shapes = [str(shape).encode() for shape in (kept.shape, kept.shape[::-1])]
    damaged = [b"", good[1][:-1], bytes(len(good[2])), good[3].replace(*shapes), good[4].replace(b"<f4", b"<i4")]
    for path, before, content in zip(paths, good, damaged, strict=False):
        assert content != before
        path.write_bytes(content)
    # Those of the right size are found damaged only when read; the truncated one also without.
    for view in (views[0], *views[2:5]):
        with pytest.raises(Unavailable, match=r"damaged.*retry"):
            kept.read(view.name)
    with pytest.raises(Unavailable, match=r"missing.*retry"):
        kept.read(views[0].name)
    passes.clear()
    compute(tiny_network, views, kept)
    assert len(passes) == 5
    assert [path.read_bytes() for path in paths] == good


@pytest.mark.slow
def test_a_training_of_many_views_has_the_features_that_torch_computes(clips, tmp_path: Path, monkeypatch, caplog):
    monkeypatch.setattr(choice_of_engine, "OPENVINO_FROM_VIEWS", 1)
    monkeypatch.setattr(job_of_training, "see_by_torch", pytest.fail)
    planned = kept_job(tmp_path / "training", clips)
    cache, views = open_cache(planned, planned.network), views_of(planned)
    compute_missing(planned, "cpu", cache, views)
    assert "computed by PyTorch" not in caplog.text
    torch_s = training_features(tmp_path / "torch", planned.network, "32-true")
    compute(prepare(planned.network), views, torch_s)
    for view in views:
        torch.testing.assert_close(cache.read(view.name), torch_s.read(view.name), rtol=1e-3, atol=1e-4)


def test_processes_begin_apart_and_leave_each_other_what_is_done(clips, tiny_network, kept, monkeypatch):
    views = [View(clip.frames) for clip in clips]
    names = [view.name for view in views]
    order = []
    write = FeatureCache.write

    def watched(self, name, tensor):
        order.append(names.index(name))
        write(self, name, tensor)
        if len(order) == 1:  # another process has done the next one meanwhile
            write(self, names[4], tensor)

    monkeypatch.setattr(FeatureCache, "write", watched)
    compute(tiny_network, views, kept, place=0.5)
    assert order == [3, 5, 0, 1, 2]
    assert not list(kept.folder.glob("*.partial"))


def test_progress_is_told_with_the_time_left(clips, tiny_network, kept, monkeypatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(features, "SECONDS_BETWEEN_LINES", 0)
    with caplog.at_level(logging.INFO, logger="tasks.learn"):
        compute(tiny_network, [View(clip.frames) for clip in clips[:3]], kept)
    said = [record.getMessage() for record in caplog.records]
    assert [line.split(",")[0] for line in said] == ["features of 1 of 3 views", "features of 2 of 3 views", "features of 3 views"]
    assert said[0].endswith("s left")


def test_a_disk_that_is_too_small_is_told_before_anything_is_computed(clips, tiny_network, kept, monkeypatch):
    passes = passes_of(tiny_network)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 100))
    with pytest.raises(Unavailable, match=r"896 bytes are needed and 100 bytes are free.*RETAKE_CACHE_DIR.*feature_variants"):
        compute(tiny_network, [View(clips[0].frames)], kept)
    assert not passes


def test_what_a_killed_process_left_is_removed_after_a_day(kept):
    kept.folder.mkdir(parents=True)
    for name, age_seconds in (("old.1.partial", 2 * 86400), ("new.2.partial", 60)):
        (kept.folder / name).touch()
        os.utime(kept.folder / name, (time.time() - age_seconds,) * 2)
    kept.make_room(0)
    assert [path.name for path in kept.folder.iterdir()] == ["new.2.partial"]
