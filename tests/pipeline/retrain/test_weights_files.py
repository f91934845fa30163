"""Weights out of files: published checkpoints, the user's own, and files that are not what they should be."""

import argparse
import hashlib

import pytest
import torch

from tasks.errors import BadCheckpoint, BadInput
from tasks.keys import file_sha256
from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import PUBLISHED
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import TrainOptions, Weights
from tasks.pipeline import _weights
from tasks.pipeline._plans import plan_training
from tasks.store.layout import Layout
from tests.http_servers import served
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.predict_videos.trained import register
from tests.pipeline.shelf import RUN, grown, put_trained

OUT = f"{STORE}/pretrained/choices/x/"
TSM = next(file.name for (family, _, modality), file in PUBLISHED.items() if (family, modality) == ("TSM", "flow"))


@pytest.fixture
def bench():
    return Bench()


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("code", "it holds code"),
        ("shape", "conv1.weight is 3 x 3 where"),
        ("hash", "its name says 00000000"),
        ("absent", "no such file"),
    ],
)
def test_a_checkpoint_that_is_not_what_it_should_be(bench, tmp_path, kind, reason):
    content = {"model_type": "tsn", "arch": "resnet50", "modality": "RGB", "segment_count": 8, "args": argparse.Namespace()}
    content["state_dict"] = {"base_model.conv1.weight": torch.zeros(3, 3)}
    if kind == "code":
        content["args"] = Harm(tmp_path / "harm")
    torch.save(content, tmp_path / "made")
    digest = "00000000" if kind == "hash" else hashlib.sha256((tmp_path / "made").read_bytes()).hexdigest()[:8]
    checkpoint = (tmp_path / "made").rename(tmp_path / f"TSN-{digest}.pth.tar")
    if kind == "absent":
        checkpoint.unlink()
    with pytest.raises(BadInput, match=reason) as refused:
        bench.run("weights", out=OUT, backbone="resnet50", weights="epic", checkpoint=str(checkpoint))
    assert checkpoint.name in str(refused.value)
    assert not (tmp_path / "harm").exists()
    assert bench.store.objects == {}


@pytest.mark.parametrize("named", [{"checkpoint": TSM}, {}], ids=["by its name", "by the network"])
def test_a_published_checkpoint_is_looked_up_in_the_store_and_held_to_the_hash_in_its_name(bench, named):
    bench.store.write_bytes(f"{STORE}/pretrained/{TSM}", b"not the published file")
    with pytest.raises(BadInput, match=f"{TSM}.*its name says e09c2d3a"):
        bench.run("weights", out=OUT, family="TSM", modality="flow", backbone="resnet50", weights="epic", **named)


@pytest.mark.parametrize("where", ["a disk", "the store", "a file without a size"])
def test_a_file_of_weights_of_another_size_than_weights_have_is_not_read(bench, tmp_path, where, monkeypatch):
    uri, path = f"{STORE}/own.pth", tmp_path / "own.pth"
    bench.store.write_bytes(uri, b"weights")
    grown(bench.store, uri, 50 << 30, monkeypatch)
    with path.open("wb") as file:
        file.truncate(50 << 30)
    source = {"a disk": path, "the store": uri, "a file without a size": "/proc/self/mem"}[where]
    with pytest.raises(BadInput, match=r"(50 GiB|0 bytes), where a file of weights has up to 4 GiB"):
        bench.run("weights", out=OUT, backbone="test_resnet", backbone_weights=str(source))


@pytest.fixture
def own(tmp_path):
    """The weights of a backbone that no start of Retake has, alone in a folder."""
    path = tmp_path / "web" / "own.pth"
    path.parent.mkdir()
    torch.save(Network(NetworkSpec(backbone="test_resnet"), seed=7).backbone.state_dict(), path)
    return path


def start(bench, source):
    return bench.run("weights", out=OUT, backbone="test_resnet", num_segments=2, backbone_weights=str(source))


def test_a_local_file_that_is_replaced_meanwhile_is_used_as_it_was_when_it_was_opened(bench, own, monkeypatch):
    sha256 = file_sha256(own)

    def replaced(path):
        own.write_bytes(b"another file")
        return file_sha256(path)

    monkeypatch.setattr(_weights, "file_sha256", replaced)
    assert start(bench, own).backbone_sha256 == sha256


def test_a_run_of_the_users_own_backbone_is_known_by_the_content_of_the_file(bench, own):
    def run_key(path):
        options = TrainOptions(backbone="test_resnet", num_segments=2, backbone_weights=str(path))
        planned = plan_training(STORE, "digest", options, start(bench, path), "model")
        assert planned.train.backbone_weights == file_sha256(path)
        assert TrainOptions.model_validate(planned.train.model_dump()) == planned.train
        return planned.run_key

    same, other = own.with_name("same.pth"), own.with_name("other.pth")
    same.write_bytes(own.read_bytes())
    torch.save(Network(NetworkSpec(backbone="test_resnet"), seed=8).backbone.state_dict(), other)
    assert run_key(own) == run_key(same) != run_key(other)
    bench.store.write_bytes(Layout(STORE).backbone_weights(file_sha256(own)), other.read_bytes())
    with pytest.raises(BadCheckpoint, match="not the file that its name says"):
        start(bench, file_sha256(own))


def test_a_backbone_from_a_web_server_is_the_start_and_is_found_again_by_its_hash_and_in_a_store(bench, own, tmp_path, monkeypatch):
    monkeypatch.setenv("RETAKE_ALLOW_PRIVATE_ADDRESSES", "true")
    with served(own.parent) as address:
        chosen, sha256 = start(bench, f"{address}/own.pth"), file_sha256(own)
        with pytest.raises(BadInput, match=f"{address}/none.pth"):
            start(bench, f"{address}/none.pth")
    assert (chosen.weights, chosen.backbone_sha256) == (Weights.FILE, sha256)
    assert "own.pth (" in chosen.description
    kept, elsewhere = f"{STORE}/pretrained/backbones/{sha256}", "s3://elsewhere/weights/other.name"
    assert bench.store.read_bytes(kept) == own.read_bytes()
    bench.store.read_file(chosen.uri, tmp_path / "start.pt")
    loaded, theirs = load(tmp_path / "start.pt").network.backbone.state_dict(), torch.load(own, weights_only=True)
    assert loaded.keys() == theirs.keys()
    assert all(torch.equal(loaded[name], theirs[name]) for name in theirs)
    bench.store.ensure_bucket(elsewhere)
    bench.store.write_file(elsewhere, own)
    assert {start(bench, source).sha256 for source in (sha256, kept, elsewhere)} == {chosen.sha256}


def test_a_registered_version_is_a_start(bench, mlflow):
    put_trained(bench.store, Network(NetworkSpec(backbone="test_resnet", num_segments=2)))
    register(mlflow, bench.store)
    chosen = bench.run("weights", out=OUT, backbone="test_resnet", num_segments=2, checkpoint="models:/retake-tsn@challenger")
    assert (chosen.weights, chosen.uri) == (Weights.TRAINED, f"{RUN}train/best.pt")
    with pytest.raises(BadInput, match="no version is champion yet"):
        bench.run("weights", out=OUT, backbone="test_resnet", num_segments=2, checkpoint="models:/retake-tsn@champion")
