import pytest
import torch

from tasks.errors import BadCheckpoint, BadConfiguration, BadInput, NothingToDo
from tasks.learn.networks import sound_recipe
from tasks.learn.networks.checkpoints import load, save
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec, no_names
from tasks.options import TrainOptions, Weights
from tasks.pipeline._checkpoints import file_sha256
from tasks.pipeline._plans import plan_training
from tasks.pipeline._weights import candidates
from tasks.pipeline.retrain.contract import WeightsArguments
from tasks.pipeline.retrain.weights import run
from tasks.store.layout import Layout
from tasks.store.records.training import TrainResult
from tasks.store.records.video import SoundRecipe
from tests.learn.tiny_video import TINY_VIDEO, tiny_video_network
from tests.pipeline.shelf import Shelf, dataset_clip, manifest_of, train_result

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
        ({"backbone": "resnet50", "sampling_window": 0.5}, [("resnet50", EPIC), ("resnet50", IMAGENET)]),
        ({"num_segments": 4, "checkpoint": "/own.pth.tar"}, [("resnet50", EPIC)]),
        ({"backbone": "resnet50", "weights": NONE}, [("resnet50", NONE)]),
        ({"backbone": "resnet50", "backbone_weights": "own.pth"}, [("resnet50", Weights.FILE)]),
        ({"modality": "sound", "trainable": "heads"}, [("aisfx", NONE), ("log-mel", NONE)]),
        ({"modality": "sound", "trainable": "heads", "backbone": "log-mel"}, [("log-mel", NONE)]),
        ({"modality": "spectrogram"}, [("resnet50", IMAGENET), ("tf_efficientnet_lite0", IMAGENET)]),
    ],
)
def test_starts_come_best_first_and_a_checkpoint_that_is_named_has_no_rival(options, expected):
    assert candidates(TrainOptions(**options)) == expected


@pytest.mark.parametrize("network", [None, "0" * 64])
def test_features_of_sound_are_those_that_are_installed(tmp_path, monkeypatch, network):
    monkeypatch.setattr(sound_recipe, "installed_recipe", lambda: SoundRecipe(network=network, speech=None))
    store, chosen = Shelf(), {"modality": "sound", "trainable": "heads", "num_segments": 2}
    found = run(WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/x/", **chosen), store)
    name = "aisfx" if network else "log-mel"
    assert (found.backbone, found.weights, found.network) == (name, NONE, f"TSN {name} sound, 2 segments")
    assert found.description == f"Features of sound ({name}) under untrained, seeded heads: this baseline is chance"
    store.read_file(found.uri, tmp_path / "start.ckpt")
    assert load(tmp_path / "start.ckpt").network.spec.sound == SoundRecipe(network=network, speech=None)
    if network is None:
        with pytest.raises(BadConfiguration, match="pip install --no-deps aisfx"):
            run(WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/y/", **chosen, backbone="aisfx"), store)


RUN = f"runs/{'3' * 16}/"
SPEC = NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=127)


@pytest.fixture
def shelf(tmp_path):
    """A store with one training, of a network that knows two verbs of somebody's own."""
    made = Shelf()
    put_training(made, SPEC, tmp_path)
    return made


def put_training(shelf, spec, folder):
    save(folder / "best.pt", Network(spec, seed=1), no_names(spec))
    uri = f"s3://retake/{RUN}train/best.pt"
    shelf.write_file(uri, folder / "best.pt")
    shelf.write(f"s3://retake/{RUN}train/result.json", train_result(uri, file_sha256(folder / "best.pt")))


def start_from(shelf, **options):
    chosen = {"backbone": "test_resnet", "num_segments": 2, "checkpoint": RUN, **options}
    return run(WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/x/", **chosen), shelf)


@pytest.mark.parametrize("options", [{}, {"weights": Weights.TRAINED}, {"backbone": "auto"}, {"checkpoint": f"s3://retake/{RUN}"}])
def test_a_trained_network_of_this_store_is_a_start(shelf, options):
    found = start_from(shelf, **options)
    assert (found.weights, found.backbone, found.is_chance) == (Weights.TRAINED, "test_resnet", False)
    assert (found.uri, found.sha256) == (f"s3://retake/{RUN}train/best.pt", shelf.stat(f"s3://retake/{RUN}train/best.pt").etag)
    assert found.network == SPEC.title
    assert found.description == f"the network that {RUN} trained"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_segments": 8}, "is TSN test_resnet rgb, 2 segments, where TSN test_resnet rgb, 8 segments was asked"),
        ({"sampling_window": 0.5}, "is TSN test_resnet rgb, 2 segments, where TSN test_resnet rgb, 2 segments, window 0.5 was asked"),
        ({"weights": Weights.TRAINED, "checkpoint": None}, "weights=trained needs the network's name under checkpoint"),
        ({"weights": Weights.TRAINED, "checkpoint": "best.pt"}, "checkpoint: best.pt names no network"),
        ({"weights": Weights.IMAGENET}, "is a trained network, and weights is imagenet; choose trained"),
        ({"checkpoint": f"runs/{'4' * 16}/"}, f"has no finished training under runs/{'4' * 16}/"),
        ({"checkpoint": f"s3://other/{RUN}"}, "was trained in another store"),
        ({"family": "3D", "backbone": "auto"}, "2 segments, where family 3D was asked; choose family TSN"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_with_the_remedy(shelf, options, said):
    with pytest.raises((BadConfiguration, BadInput), match=said):
        start_from(shelf, **options)


def test_a_trained_video_network_starts_no_network_of_single_pictures(shelf, tmp_path):
    with tiny_video_network():
        spec = NetworkSpec(backbone=TINY_VIDEO.name, num_segments=3)
        put_training(shelf, spec, tmp_path)
        with pytest.raises(BadConfiguration, match="is 3D tiny_video rgb, 3 views, where family TSN was asked; choose family 3D"):
            start_from(shelf, backbone="auto")
        assert start_from(shelf, family="3D", backbone="auto").network == spec.title


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "interpolation"),
    [
        ({}, "bicubic"),
        ({"interpolation": "bilinear"}, "bilinear"),
        ({"modality": "flow"}, "bilinear"),
        ({"weights": NONE}, "bilinear"),
        ({"weights": NONE, "interpolation": "bicubic"}, "bicubic"),
    ],
)
def test_frames_are_scaled_as_those_that_the_weights_know(shelf, tmp_path, options, interpolation):
    chosen = {"backbone": "tf_efficientnet_lite0", "weights": IMAGENET, "checkpoint": None, **options}
    found = start_from(shelf, **chosen)
    shelf.read_file(found.uri, tmp_path / "start.ckpt")
    assert load(tmp_path / "start.ckpt").network.spec.interpolation == interpolation


@pytest.mark.parametrize(("asked", "is_taken"), [("auto", True), ("bicubic", True), ("bilinear", False)])
def test_a_trained_network_keeps_its_scaling(shelf, tmp_path, asked, is_taken):
    spec = SPEC.model_copy(update={"interpolation": "bicubic"})
    put_training(shelf, spec, tmp_path)
    if is_taken:
        assert start_from(shelf, interpolation=asked).network == spec.title
    else:
        with pytest.raises(BadConfiguration, match="2 segments, bicubic, where"):
            start_from(shelf, interpolation=asked)


def test_a_network_of_altered_labels_is_no_start(shelf):
    uri = f"s3://retake/{RUN}train/result.json"
    shelf.write(uri, shelf.read(uri, TrainResult).model_copy(update={"label_noise": 0.2}))
    with pytest.raises(BadInput, match=f"checkpoint: {RUN} was trained on altered labels"):
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


@pytest.fixture
def own(tmp_path):
    """The backbone of somebody's own network."""
    path = tmp_path / "own.pth"
    torch.save(Network(SPEC, seed=7).backbone.state_dict(), path)
    return path


def test_a_run_of_the_users_own_backbone_is_known_by_the_content_of_the_file(own):
    shelf, keys = Shelf(), []
    same, other = own.with_name("same.pth"), own.with_name("other.pth")
    same.write_bytes(own.read_bytes())
    torch.save(Network(SPEC, seed=8).backbone.state_dict(), other)
    for path in (own, same, other):
        options = TrainOptions(backbone="test_resnet", num_segments=2, backbone_weights=str(path))
        found = start_from(shelf, checkpoint=None, backbone_weights=str(path))
        planned = plan_training("s3://retake", "digest", options, found, "model")
        assert planned.train.backbone_weights == file_sha256(path)
        assert TrainOptions.model_validate(planned.train.model_dump()) == planned.train
        keys.append(planned.run_key)
    assert keys[0] == keys[1] != keys[2]
    start_from(shelf, checkpoint=None, backbone_weights=file_sha256(own))
    shelf.write_bytes(Layout("s3://retake").backbone_weights(file_sha256(own)), other.read_bytes())
    with pytest.raises(BadCheckpoint, match="not the file that its name says"):
        start_from(shelf, checkpoint=None, backbone_weights=file_sha256(own))


@pytest.mark.parametrize("backbone", ["test_resnet", pytest.param("tf_efficientnet_lite0", marks=pytest.mark.slow)])
def test_a_run_is_known_by_the_network_that_it_starts_from_and_not_by_how_its_scaling_was_asked_for(tmp_path, backbone):
    keys = {}
    for asked in ("auto", "bilinear", "bicubic"):
        chosen = {
            "checkpoint": None,
            "backbone": backbone,
            "weights": IMAGENET if backbone.startswith("tf") else NONE,
            "interpolation": asked,
        }
        planned = plan_training("s3://retake", "d", TrainOptions(num_segments=2, **chosen), start_from(Shelf(), **chosen), "model")
        keys[asked] = planned.run_key
    same, other = ("bicubic", "bilinear") if backbone.startswith("tf") else ("bilinear", "bicubic")
    assert keys["auto"] == keys[same] != keys[other]


@pytest.mark.slow
@pytest.mark.parametrize("trains_on", [None, "cuda"])
def test_auto_chooses_by_the_clips_of_the_dataset_and_a_batch_is_timed_once_where_the_training_runs(trains_on, monkeypatch):
    monkeypatch.setenv("RETAKE_TRAINS_ON", trains_on or "cpu")
    store, digest = Shelf(), "0" * 12
    store.write(f"s3://retake/datasets/{digest}/manifest.json", manifest_of(dataset_clip(str(number), "train") for number in range(3)))
    asked = WeightsArguments(
        store="s3://retake",
        out="s3://retake/pretrained/choices/x/",
        preset="auto",
        dataset=f"s3://retake/datasets/{digest}/",
        num_segments=1,
    )
    if trains_on == "cuda":
        asked = asked.model_copy(update={"trainable": "heads", "backbone": "test_resnet", "weights": NONE})
    result = run(asked, store)
    assert result.recipe.head == "probe"
    assert "3 training clips" in result.chosen
    assert (result.pace is None) == (trains_on == "cuda")
    assert run(asked, store).pace == result.pace


def test_without_a_dataset_auto_has_nothing_to_choose_for():
    with pytest.raises(NothingToDo, match="no dataset"):
        run(WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/x/", preset="auto"), Shelf())
