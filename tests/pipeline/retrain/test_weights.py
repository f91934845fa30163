import pytest

from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import TrainOptions, Weights
from tasks.pipeline._weights import candidates
from tasks.pipeline.retrain.contract import WeightsArguments
from tasks.pipeline.retrain.weights import run
from tasks.store.records.training import TrainResult
from tests.learn.tiny import TINY_VIDEO, tiny_video_network
from tests.pipeline.shelf import Shelf, dataset_clip, manifest_of, put_trained

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


RUN = f"runs/{'3' * 16}/"
SPEC = NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=127)


@pytest.fixture
def shelf():
    """A store with one training, of a network that knows two verbs of somebody's own."""
    made = Shelf()
    put_training(made, SPEC)
    return made


def put_training(shelf, spec):
    put_trained(shelf, Network(spec, seed=1), run_uri=f"s3://retake/{RUN}")


def start_from(shelf, **options):
    chosen = {"backbone": "test_resnet", "num_segments": 2, "checkpoint": RUN, **options}
    return run(WeightsArguments(store="s3://retake", out="s3://retake/pretrained/choices/x/", **chosen), shelf)


@pytest.mark.parametrize("options", [{}, {"weights": Weights.TRAINED}, {"backbone": "auto"}, {"checkpoint": f"s3://retake/{RUN}"}])
def test_a_trained_network_of_this_store_is_a_start(shelf, options):
    start = start_from(shelf, **options)
    assert (start.weights, start.backbone, start.is_chance) == (Weights.TRAINED, "test_resnet", False)
    assert (start.uri, start.sha256) == (f"s3://retake/{RUN}train/best.pt", shelf.stat(f"s3://retake/{RUN}train/best.pt").etag)
    assert start.network == SPEC.title
    assert start.description == f"the network that {RUN} trained"


def test_a_network_of_an_earlier_version_that_saw_the_middle_of_clips_is_a_start_and_goes_on_so(shelf):
    put_training(shelf, windowed := SPEC.model_copy(update={"sampling_window": 0.5}))
    assert start_from(shelf).network == windowed.title != SPEC.title


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"num_segments": 8}, "is TSN test_resnet rgb, 2 segments, where TSN test_resnet rgb, 8 segments was asked"),
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


def test_a_trained_video_network_starts_no_network_of_single_pictures(shelf):
    with tiny_video_network():
        spec = NetworkSpec(backbone=TINY_VIDEO.name, num_segments=3)
        put_training(shelf, spec)
        with pytest.raises(BadConfiguration, match="is 3D tiny_video rgb, 3 views, where family TSN was asked; choose family 3D"):
            start_from(shelf, backbone="auto")
        assert start_from(shelf, family="3D", backbone="auto").network == spec.title


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "interpolation"),
    [
        ({}, "bicubic"),
        ({"modality": "flow"}, "bilinear"),
        ({"weights": NONE}, "bilinear"),
    ],
)
def test_frames_are_scaled_as_those_that_the_weights_know(shelf, tmp_path, options, interpolation):
    chosen = {"backbone": "tf_efficientnet_lite0", "weights": IMAGENET, "checkpoint": None, **options}
    start = start_from(shelf, **chosen)
    shelf.read_file(start.uri, tmp_path / "start.ckpt")
    assert load(tmp_path / "start.ckpt").network.spec.interpolation == interpolation


def test_a_trained_network_keeps_its_scaling(shelf):
    spec = SPEC.model_copy(update={"interpolation": "bicubic"})
    put_training(shelf, spec)
    assert start_from(shelf).network == spec.title


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
