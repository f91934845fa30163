"""Keep the described sound of a clip in a file. Does not import torch."""

# s: spectra, one every 5 ms; w: windows, one every 250 ms; f: features

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadVideo
from tasks.learn.sound.grid import NUM_MELS
from tasks.store.records.sound import SoundState

SOUND_SUFFIX = ".npz"


@dataclass(frozen=True)
class Sound:
    """The described sound of one clip, or of silence where there is nothing to hear.

    Attributes:
        log_mel: float16 (s, 128), the natural logarithm of the magnitude in each mel band, from log(1e-6) upwards.
        features: float32 (w, f), of each window.
        starts_seconds: float32 (w,), where each window begins.
        state: whether there is anything to hear.
        reason: why there is not, in plain words; empty if there is.
        speech_share: the share of the clip in which somebody speaks; None if nobody listened for it.
    """

    log_mel: NDArray[np.float16]
    features: NDArray[np.float32]
    starts_seconds: NDArray[np.float32]
    state: SoundState
    reason: str = ""
    speech_share: float | None = None

    @property
    def is_heard(self) -> bool:
        """Check whether the clip has a sound other than silence."""
        return self.state is SoundState.HEARD


def write_sound(path: Path, sound: Sound) -> None:
    """Write a sound; the same sound gives the same bytes."""
    speech = np.nan if sound.speech_share is None else sound.speech_share
    np.savez_compressed(
        path,
        log_mel=sound.log_mel.astype(np.float16),
        features=sound.features.astype(np.float32),
        starts_seconds=sound.starts_seconds.astype(np.float32),
        state=np.array(sound.state.value),
        reason=np.array(sound.reason),
        speech_share=np.array(speech, np.float64),
    )


def read_sound(path: Path) -> Sound:
    """Read a sound.

    Raises:
        BadVideo: the file is damaged, or is not a sound that `write_sound` wrote.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            speech = float(found["speech_share"])
            sound = Sound(
                log_mel=found["log_mel"],
                features=found["features"],
                starts_seconds=found["starts_seconds"],
                state=SoundState(str(found["state"])),
                reason=str(found["reason"]),
                speech_share=None if np.isnan(speech) else speech,
            )
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise BadVideo(f"{path.name}: damaged, or not a stored sound ({error}); delete it in the store and run `sound` again") from None
    if sound.log_mel.shape[1:] != (NUM_MELS,) or sound.features.shape[:1] != sound.starts_seconds.shape:
        raise BadVideo(f"{path.name}: not the spectra and windows of one sound; delete it in the store and run `sound` again")
    return sound
