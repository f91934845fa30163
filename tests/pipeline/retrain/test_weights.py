"""What a training starts from: the network that fits best, a trained one, and files, also those that are not what they should be."""

import argparse
import hashlib

import pytest
import torch

from tasks.errors import BadCheckpoint, BadConfiguration, BadInput, NothingToDo
from tasks.keys import file_sha256
from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import PUBLISHED
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import TrainOptions, Weights
from tasks.pipeline import _weights
from tasks.pipeline._plans import plan_training
from tasks.pipeline._weights import candidates
from tasks.pipeline.retrain.contract import WeightsArguments
from tasks.pipeline.retrain.weights import run
from tasks.store.layout import Layout
from tasks.store.records.training import TrainResult
from tests.http_servers import served
from tests.learn.tiny import TINY_VIDEO, tiny_video_network
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.predict_videos.trained import register
from tests.pipeline.shelf import RUN, Shelf, dataset_clip, grown, manifest_of, put_trained

EPIC, IMAGENET, NONE = Weights.EPIC, Weights.IMAGENET, Weights.NONE


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [("resnet50", EPIC), ("resnet50", IMAGENET), ("tf_efficientnet_lite0", IMAGENET)]),
        ({"weights": EPIC}, [("resnet50", EPIC)]),
        ({"weights": IMAGENET}, [("resnet50", IMAGENET), ("tf_efficientnet_lite0", IMAGENET)]),
        ({"weights": NONE}, [("resnet50", NONE)]),
        ({"backbone": "bninception"}, [("bninception", EPIC), ("bninception", IMAGENET)]),
        ({"backbone": "convnext_tiny"}, [("convnext_tiny", IMAGENET)]),
        ({"num_segments": 4}, [("resnet50", IMAGENET), ("tf_efficientnet_lite0", IMAGENET)]),
        ({"num_segments": 4, "checkpoint": "/own.pth.tar"}, [("resnet50", EPIC)]),
        ({"backbone": "resnet50", "weights": NONE}, [("resnet50", NONE)]),
        ({"backbone": "resnet50", "backbone_weights": "own.pth"}, [("resnet50", Weights.FILE)]),
        ({"modality": "sound", "trainable": "heads"}, [("log-mel", NONE)]),
        ({"modality": "sound", "trainable": "heads", "backbone": "log-mel"}, [("log-mel", NONE)]),
    ],
)
def test_starts_come_best_first_and_a_checkpoint_that_is_named_has_no_rival(options, expected):
    assert candidates(TrainOptions(**options)) == expected


def test_features_of_sound_need_no_weights(tmp_path):
    store, chosen = Shelf(), {"modality": "sound", "trainable": "heads", "num_segments": 2}
    start = run(WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/x/", **chosen), store)
    assert (start.backbone, start.weights, start.network) == ("log-mel", NONE, "TSN log-mel sound, 2 segments")
    assert start.description == "Features of sound (log-mel) under untrained, seeded heads: this baseline is chance"
    store.read_file(start.uri, tmp_path / "start.ckpt")
    assert load(tmp_path / "start.ckpt").network.spec.backbone == "log-mel"


TRAINED = f"runs/{'3' * 16}/"
SPEC = NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=127)


@pytest.fixture
def shelf():
    """A store with one training, of a network that knows two verbs of somebody's own."""
    made = Shelf()
    put_training(made, SPEC)
    return made


def put_training(shelf, spec):
    put_trained(shelf, Network(spec, seed=1), run_uri=f"s3://retake/{TRAINED}")


def start_from(shelf, **options):
    chosen = {"backbone": "test_resnet", "num_segments": 2, "checkpoint": TRAINED, **options}
    return run(WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/x/", **chosen), shelf)


@pytest.mark.parametrize("options", [{}, {"weights": Weights.TRAINED}, {"backbone": "auto"}, {"checkpoint": f"s3://retake/{TRAINED}"}])
def test_a_trained_network_of_this_store_is_a_start(shelf, options):
    start = start_from(shelf, **options)
    assert (start.weights, start.backbone, start.is_chance) == (Weights.TRAINED, "test_resnet", False)
    assert (start.uri, start.sha256) == (f"s3://retake/{TRAINED}train/best.pt", shelf.stat(f"s3://retake/{TRAINED}train/best.pt").etag)
    assert start.network == SPEC.title
    assert start.description == f"the network that {TRAINED} trained"


@pytest.mark.parametrize("kept", [{"sampling_window": 0.5}, {"interpolation": "bicubic"}])
def test_a_trained_network_keeps_its_scaling_and_the_window_of_an_earlier_version(shelf, kept):
    put_training(shelf, spec := SPEC.model_copy(update=kept))
    assert start_from(shelf).network == spec.title


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_segments": 8}, "is TSN test_resnet rgb, 2 segments, where TSN test_resnet rgb, 8 segments was asked"),
        ({"weights": Weights.TRAINED, "checkpoint": None}, "weights=trained needs the network's name under checkpoint"),
        ({"weights": Weights.TRAINED, "checkpoint": "best.pt"}, "checkpoint: best.pt names no network"),
        ({"weights": Weights.IMAGENET}, "is a trained network, and weights is imagenet; choose trained"),
        ({"checkpoint": f"runs/{'4' * 16}/"}, f"has no finished training under runs/{'4' * 16}/"),
        ({"checkpoint": f"s3://other/{TRAINED}"}, "was trained in another store"),
        ({"family": "3D", "backbone": "auto"}, "2 segments, where family 3D was asked; choose family TSN"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_with_the_remedy(shelf, options, said):
    with pytest.raises((BadConfiguration, BadInput), match=said):
        start_from(shelf, **options)


def test_a_trained_video_network_starts_no_network_of_single_pictures(shelf):
    with tiny_video_network():
        spec = NetworkSpec(backbone=TINY_VIDEO.name, num_segments=3)
        put_training(shelf, spec)
        with pytest.raises(BadConfiguration, match="is 3D tiny_video rgb, 3 views, where family TSN was asked; choose family 3D"):
            start_from(shelf, backbone="auto")
        assert start_from(shelf, family="3D", backbone="auto").network == spec.title


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "interpolation"), [({}, "bicubic"), ({"modality": "flow"}, "bilinear"), ({"weights": NONE}, "bilinear")]
)
def test_frames_are_scaled_as_those_that_the_weights_know(shelf, tmp_path, options, interpolation):
    chosen = {"backbone": "tf_efficientnet_lite0", "weights": IMAGENET, "checkpoint": None, **options}
    start = start_from(shelf, **chosen)
    shelf.read_file(start.uri, tmp_path / "start.ckpt")
    assert load(tmp_path / "start.ckpt").network.spec.interpolation == interpolation


def test_a_network_of_altered_labels_is_no_start(shelf):
    uri = f"s3://retake/{TRAINED}train/result.json"
    shelf.write(uri, shelf.read(uri, TrainResult).model_copy(update={"label_noise": 0.2}))
    with pytest.raises(BadInput, match=f"checkpoint: {TRAINED} was trained on altered labels"):
        start_from(shelf)


@pytest.mark.parametrize(
    "checkpoint",
    [
        "0" * 64,
        "s3://",
        "s3://retake/",
        "s3://retake/../x",
        "s3://retake/a\0-3ecf904f.pth.tar",
        "s3://retake/none-3ecf904f.pth.tar",
        "http://[::1/a-3ecf904f.pth.tar",
        "http://127.0.0.1:9/%00-3ecf904f.pth.tar",
        "http://127.0.0.1:9/" + "%F0%9F%98%80" * 90 + "-3ecf904f.pth.tar",
        "file:///etc/a-3ecf904f.pth.tar",
        "~nobody-here/a-3ecf904f.pth.tar",
        "/etc/passwd",
        "/",
        "a\0b-3ecf904f.pth.tar",
        "a" * 5000,
    ],
)
def test_a_checkpoint_that_cannot_be_is_bad_input(checkpoint):
    refused = {"backbone": "resnet50", "weights": EPIC, "checkpoint": checkpoint}, {"checkpoint": None, "backbone_weights": checkpoint}
    for options in refused:
        with pytest.raises(BadInput) as caught:
            start_from(Shelf(), **options)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("trains_on", ["cpu", "cuda"])
def test_auto_chooses_by_the_clips_of_the_dataset_and_a_batch_is_timed_once_where_the_training_runs(trains_on, monkeypatch):
    monkeypatch.setenv("RETAKE_TRAINS_ON", trains_on)
    store, dataset = Shelf(), f"s3://retake/datasets/{'0' * 12}/"
    store.write(f"{dataset}manifest.json", manifest_of(dataset_clip(str(number), "train") for number in range(3)))
    tiny = {"trainable": "heads", "backbone": "test_resnet", "weights": NONE, "num_segments": 1}
    asked = WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/x/", preset="auto", dataset=dataset, **tiny)
    result = run(asked, store)
    assert result.recipe.head == "probe"
    assert "3 training clips" in result.chosen
    assert (result.pace is None) == (trains_on == "cuda")
    assert run(asked, store).pace == result.pace


def test_without_a_dataset_auto_has_nothing_to_choose_for():
    with pytest.raises(NothingToDo, match="no dataset"):
        run(WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/x/", preset="auto"), Shelf())


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
    [("code", "it holds code"), ("shape", "conv1.weight is 3 x 3 where"), ("hash", "its name says 00000000"), ("absent", "no such file")],
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
