import logging
import os
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.errors import Unavailable
from tasks.model import features
from tasks.model.augmentation import Augmentation
from tasks.model.checkpoints import load
from tasks.model.data import CachedClip, View
from tasks.model.feature_cache import FeatureCache
from tasks.model.features import compute_features, training_features
from tasks.model.job import TrainJob
from tasks.model.network import Network
from tasks.model.spec import CONSENSUS_OF_HEADS, NetworkSpec
from tasks.model.training import TrainOutcome, fit
from tasks.options import Head
from tests.model.test_training import Stop, job, same_files, scores, stop_after

FIGURES_OF_VIEWS = [
    [50, 150, 127.5, 127, 222],
    [0, 120, 104.5, 93.3, 172],
    [0, 130, 124.5, 138.5, 233],
    [90, 160, 135, 125.3, 34],
    [0, 120, 95.6, 173.1, 92],
    [124.6, 194.9, 162.3, 156.1, 52],
]
"""Of each view: its two frames, where the crop lies in height and width, and the column at its right edge, all in grey levels."""

HEADS = {"trainable": "heads", "epochs": 5, "feature_variants": 2}


def kept_job(folder: Path, clips: list[CachedClip], root: Path, **choice) -> TrainJob:
    return replace(job(folder, clips, **HEADS | choice), features=root)


def figures(outcome: TrainOutcome) -> list[float]:
    return [value for record in outcome.history for means in (record.train, record.val) for value in asdict(means).values()]


def compute(network: Network, views: list[View], kept: FeatureCache, **choice) -> None:
    compute_features(network, views, kept, device=torch.device("cpu"), precision="32-true", num_workers=0, **choice)


@pytest.fixture
def kept(tmp_path: Path, tiny_network: Network) -> FeatureCache:
    return training_features(tmp_path / "features", tiny_network, "32-true")


def passes_of(network: Network) -> list[None]:
    """Grows by one with each pass through the backbone."""
    passes: list[None] = []
    network.backbone.register_forward_hook(lambda *_: passes.append(None))
    return passes


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_heads_on_kept_features_train_as_they_do_through_the_backbone(clips, tmp_path: Path, precision):
    through = fit(job(tmp_path / "through", clips, **HEADS, precision=precision))
    kept = fit(kept_job(tmp_path / "kept", clips, tmp_path / "features", precision=precision))
    assert figures(kept) == pytest.approx(figures(through), rel=1e-5 if precision == "32-true" else 2e-2)
    ours, theirs = load(kept.best).network, load(through.best).network
    for (name, one), other in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("head", CONSENSUS_OF_HEADS)
def test_each_head_trains_alike_on_kept_features_and_through_the_backbone_and_goes_on_where_it_was_cut_off(clips, tmp_path: Path, head):
    def planned(name: str, root: Path | None, **choice) -> TrainJob:
        made = job(tmp_path / name, clips, **HEADS | {"head": head, "dropout": 0.5} | choice)
        spec = made.network.spec.model_copy(update={"consensus": CONSENSUS_OF_HEADS[head]})
        return replace(made, network=Network(spec, seed=1), features=root)

    root = tmp_path / "features"
    undisturbed = fit(planned("whole", root))
    with pytest.raises(Stop):
        fit(planned("cut", root), on_epoch=stop_after(1))
    assert scores(fit(planned("cut", root))) == scores(undisturbed)
    same_files(tmp_path / "cut", tmp_path / "whole")
    kept, through = (fit(planned(name, root if name == "kept" else None, dropout=0)) for name in ("kept", "through"))
    assert figures(kept) == pytest.approx(figures(through), rel=1e-3)


@pytest.mark.slow
def test_an_attentive_head_and_the_backbone_below_it_train_together(clips, tmp_path: Path):
    made = job(tmp_path, clips, head="attentive")
    spec = made.network.spec.model_copy(update={"consensus": CONSENSUS_OF_HEADS[Head.ATTENTIVE]})
    outcome = fit(replace(made, network=Network(spec, seed=1)))
    assert outcome.history[-1].train.loss < outcome.history[0].train.loss
    trained, before = load(outcome.best).network.backbone.state_dict(), Network(spec, seed=1).backbone.state_dict()
    assert not all(torch.equal(trained[name], before[name]) for name in before)


def test_the_last_checkpoint_goes_on_without_the_backbone(clips, tmp_path: Path):
    root = tmp_path / "features"
    undisturbed = fit(kept_job(tmp_path / "whole", clips, root))
    with pytest.raises(Stop):
        fit(kept_job(tmp_path / "cut", clips, root), on_epoch=stop_after(1))
    state = torch.load(tmp_path / "cut" / "last.ckpt", weights_only=True)["state_dict"]
    assert {name.split(".")[0] for name in state} == {"head"}
    assert not (tmp_path / "cut" / "best.pt").exists()
    resumed = fit(kept_job(tmp_path / "cut", clips, root))
    assert scores(resumed) == scores(undisturbed)
    same_files(tmp_path / "cut", tmp_path / "whole")
    undisturbed.best.unlink()
    fit(kept_job(tmp_path / "whole", clips, root))
    same_files(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.slow
def test_the_best_heads_are_those_of_the_best_epoch(clips, tmp_path: Path):
    choice = {"learning_rate": 0.3, "epochs": 6}
    outcome = fit(kept_job(tmp_path / "kept", clips, tmp_path / "features", **choice))
    assert outcome.best_epoch < 5
    through = fit(job(tmp_path / "through", clips, **HEADS | choice))
    for one, other in zip(load(outcome.best).network.parameters(), load(through.best).network.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_a_sweep_computes_nothing_again(clips, tmp_path: Path):
    def num_passes(name: str, **choice) -> int:
        planned = kept_job(tmp_path / name, clips, tmp_path / "features", **choice)
        passes = passes_of(planned.network)
        fit(planned)
        return len(passes)

    assert num_passes("first") == 4 * 2 + 2
    assert num_passes("other", learning_rate=1e-2, epochs=7, batch_size=4) == 0
    assert num_passes("seed", seed=1) == 4 * 2


def test_features_are_filed_under_all_that_they_follow_from(tmp_path: Path, tiny_spec: NetworkSpec, monkeypatch):
    def folder(network: Network, precision: str = "32-true") -> Path:
        return training_features(tmp_path, network, precision).folder

    network, other_head = Network(tiny_spec, seed=1), Network(tiny_spec, seed=1)
    torch.nn.init.zeros_(other_head.head.fc_verb.weight)
    changed = Network(tiny_spec, seed=1)
    next(changed.backbone.buffers())[0] += 1
    assert folder(other_head) == folder(network)
    others = [
        folder(changed),
        folder(Network(tiny_spec, seed=2)),
        folder(network, "bf16-mixed"),
        folder(Network(tiny_spec.model_copy(update={"num_segments": 3}), seed=1)),
        folder(Network(tiny_spec.model_copy(update={"sampling_window": 0.5}), seed=1)),
        folder(Network(tiny_spec.model_copy(update={"interpolation": "bicubic"}), seed=1)),
        folder(Network(tiny_spec.model_copy(update={"consensus": CONSENSUS_OF_HEADS[Head.ATTENTIVE]}), seed=1)),
    ]
    for change in ({"arrange": "reversed"}, {"scale": 1.0}, {"mean": (0.0, 0.0, 0.0)}, {"std": (1.0, 1.0, 1.0)}):
        otherwise = Network(tiny_spec, seed=1)
        otherwise.input_format = replace(otherwise.input_format, **change)
        others.append(folder(otherwise))
    before = folder(network)
    monkeypatch.setattr("tasks.model.feature_cache.frames_made_by", lambda: "av-99.0-pillow-13.0.0")
    others.append(folder(network))
    monkeypatch.setattr(features, "VIEWS_VERSION", features.VIEWS_VERSION + 1)
    assert len({before, folder(network), *others}) == 2 + len(others)


def test_views_of_this_version_show_what_they_always_did(tmp_path: Path):
    """Kept features outlive the code: where this fails on purpose, VIEWS_VERSION goes up with the figures."""
    numbers, rows, columns = np.ogrid[:20, :256, :300]
    frames = np.stack([array + 0 * (numbers + rows + columns) for array in (10 * numbers, rows, columns * 255 // 299)], 3)
    np.save(tmp_path / "clip.npy", frames.astype(np.uint8))
    shown = [
        View(tmp_path / "clip.npy", *draw).images(NetworkSpec(backbone="none", num_segments=2)).float()
        for draw in ((None, 0), (0, 0), (0, 1), (7, 0), (0, 0, Augmentation("multi-scale")), (7, 0, Augmentation("resized", 0.4)))
    ]
    figures = [
        [*images[:, 0].mean((1, 2)).tolist(), *(images[0, c].mean().item() for c in (1, 2)), images[0, 2, 0, -1].item()] for images in shown
    ]
    assert features.VIEWS_VERSION == 1
    np.testing.assert_allclose(figures, FIGURES_OF_VIEWS, atol=1.5)


def test_what_is_damaged_is_computed_again_and_the_rest_is_not(clips, tiny_network, kept):
    passes = passes_of(tiny_network)
    views = [View(clip.frames) for clip in clips]
    compute(tiny_network, views, kept)
    good = [kept.path(view.name).read_bytes() for view in views]
    kept.path(views[1].name).write_bytes(b"")
    kept.path(views[2].name).write_bytes(good[2][:-1])
    kept.path(views[3].name).unlink()
    for view, reason in ((views[1], "damaged"), (views[3], "missing")):
        with pytest.raises(Unavailable, match=rf"{reason}.*retry"):
            kept.read(view.name)
    passes.clear()
    compute(tiny_network, views, kept)
    assert len(passes) == 3
    assert [kept.path(view.name).read_bytes() for view in views] == good


@pytest.mark.parametrize("damage", ["zeros", "another shape", "another type"])
def test_a_damaged_file_of_the_right_size_heals_with_the_retry(clips, tiny_network, kept, damage):
    view = View(clips[0].frames)
    compute(tiny_network, [view], kept)
    good = kept.path(view.name).read_bytes()
    num_segments, num_features = kept.shape
    damaged = {
        "zeros": bytes(len(good)),
        "another shape": good.replace(f"({num_segments}, {num_features})".encode(), f"({num_features}, {num_segments})".encode()),
        "another type": good.replace(b"<f4", b"<i4"),
    }[damage]
    kept.path(view.name).write_bytes(damaged)
    assert len(damaged) == len(good) and damaged != good
    with pytest.raises(Unavailable, match=r"damaged.*retry"):
        kept.read(view.name)
    compute(tiny_network, [view], kept)
    assert kept.path(view.name).read_bytes() == good


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
    with caplog.at_level(logging.INFO, logger="tasks.model"):
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
