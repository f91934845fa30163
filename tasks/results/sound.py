"""Define the recipe of stored sound, and the results of sounds and sound."""

from enum import StrEnum

from tasks.results.record import Record


class SoundState(StrEnum):
    """What there is to hear in a clip."""

    HEARD = "heard"
    SILENT = "silent"
    NO_TRACK = "no track"
    UNREADABLE = "unreadable"


class SoundRecipe(Record):
    """How sound is described. A hash of it names the folder of the descriptions.

    `network` is the SHA-256 of the weights of the frozen network whose features are stored; None stands for statistics of the spectrogram.
    `speech` is that of the network that hears whether somebody speaks; None means that nobody listened for it.
    """

    network: str | None
    speech: str | None
