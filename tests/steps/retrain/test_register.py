"""What a registered model takes, and the packages that it needs."""

import pytest
from torch import nn

from tasks.model.checkpoints import HeadWeights, Saved
from tasks.model.class_names import ClassNames
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.options import Modality
from tasks.results.sound import SoundRecipe
from tasks.steps._checkpoints import CHECKPOINT
from tasks.steps.retrain.register import _in_tensors, _model, _packages, _takes_clips
from tasks.tracking import ClipModel, TensorModel

CLASSES = ClassNames(verbs=("put",), nouns=("bag",))


def saved(**changes):
    spec = NetworkSpec(**{"backbone": "test_resnet", "num_segments": 2, "num_verbs": 1, "num_nouns": 1} | changes)
    return Saved((Network(spec),), (HeadWeights(1, 1),), CLASSES)


@pytest.mark.parametrize("speech", [None, "0" * 64])
def test_a_network_of_sound_takes_clips_and_needs_what_describes_their_sound(speech):
    heard = saved(backbone="log-mel", modality=Modality.SOUND, sound=SoundRecipe(network=None, speech=speech))
    assert _takes_clips(heard)
    assert "av" in _packages(heard, takes_clips=True)
    assert ("silero-vad" in _packages(heard, takes_clips=True)) == (speech is not None)
    assert _takes_clips(saved(modality=Modality.SPECTROGRAM))


def test_the_card_of_a_video_network_names_the_rate_of_the_clips_it_was_trained_on():
    spec = NetworkSpec(backbone="mc3_18", num_segments=5)
    assert "every frame in 2 at 25 frames per second" in _in_tensors(spec, 25)["snippets"]


class Moody(nn.Module):
    """A backbone that cannot be traced, because the way through it depends on the picture."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, images):
        found = self.backbone(images)
        return found if found.sum() > 0 else -found


@pytest.mark.slow
@pytest.mark.parametrize("is_moody", [False, True])
def test_a_network_that_cannot_be_exported_is_registered_with_the_code_that_applies_it_to_clips(tmp_path, caplog, is_moody):
    (tmp_path / CHECKPOINT).touch()
    made = saved()
    if is_moody:
        made.network.backbone = Moody(made.network.backbone)
    model = _model(made, tmp_path)
    assert isinstance(model, ClipModel if is_moody else TensorModel)
    assert ("cannot be exported" in caplog.text) == is_moody
