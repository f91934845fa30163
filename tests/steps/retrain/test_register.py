"""What a registered model takes, and the packages that it needs."""

import pytest

from tasks.model.checkpoints import HeadWeights, Saved
from tasks.model.class_names import ClassNames
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.options import Modality
from tasks.results.sound import SoundRecipe
from tasks.steps.retrain.register import PACKAGES, _in_tensors, _packages, _takes_clips

CLASSES = ClassNames(verbs=("put",), nouns=("bag",))


def saved(**changes):
    spec = NetworkSpec(**{"backbone": "test_resnet", "num_segments": 2, "num_verbs": 1, "num_nouns": 1} | changes)
    return Saved((Network(spec),), (HeadWeights(1, 1),), CLASSES)


def test_a_network_of_frames_takes_tensors_and_needs_little():
    assert not _takes_clips(saved())
    assert _packages(saved()) == PACKAGES


@pytest.mark.parametrize("speech", [None, "0" * 64])
def test_a_network_of_sound_takes_clips_and_needs_what_describes_their_sound(speech):
    heard = saved(backbone="log-mel", modality=Modality.SOUND, sound=SoundRecipe(network=None, speech=speech))
    assert _takes_clips(heard)
    assert "av" in _packages(heard)
    assert ("silero-vad" in _packages(heard)) == (speech is not None)
    assert _takes_clips(saved(modality=Modality.SPECTROGRAM))


def test_the_card_of_a_video_network_names_the_rate_of_the_clips_it_was_trained_on():
    spec = NetworkSpec(backbone="mc3_18", num_segments=5)
    assert "every frame in 2 at 25 frames per second" in _in_tensors(spec, 25)["snippets"]
