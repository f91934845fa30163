"""Find the recipe of the sound that a network asks for by name. Does not import torch."""

from tasks.errors import BadConfiguration
from tasks.learn.sound.recipe import EFFECTS, SPECTRA_ALONE, installed_recipe
from tasks.options import AUTO_BACKBONE, SOUND_FEATURES, Modality
from tasks.store.records.sound import SoundRecipe


def recipe_named(name: str) -> SoundRecipe:
    """Describe sound by the features of this name, and by the network for speech that is installed here.

    Raises:
        BadConfiguration: they are not installed.
    """
    found = installed_recipe()
    effects, _ = SOUND_FEATURES
    if name != effects:
        return found.model_copy(update={"network": None})
    if found.network is None:
        raise BadConfiguration(f"backbone {name}: it is not installed here; run `{EFFECTS.install}`, or choose backbone log-mel")
    return found


def recipe_needed(name: str) -> SoundRecipe:
    """Find the recipe of features of this name, of `spectrogram`, or of `auto`: all that is installed.

    Raises:
        BadConfiguration: as `recipe_named`.
    """
    if name == Modality.SPECTROGRAM:
        return SPECTRA_ALONE
    return installed_recipe() if name == AUTO_BACKBONE else recipe_named(name)
