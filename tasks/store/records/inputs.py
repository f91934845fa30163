"""Define the results of the steps that make optical flow and describe sound."""

from enum import StrEnum

from tasks.options import FlowOptions
from tasks.store.records.record import Record, SetAside
from tasks.store.records.video import BatchRef


class FlowClip(Record):
    """A clip whose optical flow is needed; `uid` names it in messages."""

    uid: str
    uri: str
    num_frames: int


class FlowBatch(Record):
    """The clips of one mapped task, and the options of their flow.

    Flow is stored next to each clip, under a hash of the options.
    """

    options: FlowOptions
    clips: tuple[FlowClip, ...]


class FlowsResult(Record):
    """Clips without flow, in batches. `num_missing` counts a clip once for each kind of flow."""

    num_clips: int
    num_missing: int
    batches: tuple[BatchRef, ...]


class FlowResult(Record):
    """Result of one batch.

    `num_computed` and the speed count only clips computed here; the others already had their flow.
    """

    num_clips: int
    num_computed: int
    num_fields: int
    seconds: float
    fields_per_second: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]


MIN_SPEECH_SHARE = 0.1
"""From here on somebody is said to speak in a clip. In the sample films, in which nobody speaks, the detector hears up to 0.056 of a clip."""


class SoundState(StrEnum):
    """The kinds of sound of a clip."""

    HEARD = "heard"
    SILENT = "silent"
    NO_TRACK = "no track"
    UNREADABLE = "unreadable"


class SoundRecipe(Record):
    """The networks that describe sound. A hash of them names the folder of the descriptions.

    `network` is the SHA-256 of the weights of the frozen network whose features are stored; None stands for statistics of the spectrogram.
    `speech` is that of the network that hears whether somebody speaks; None means that nobody listened for it.
    """

    network: str | None
    speech: str | None


class SoundNote(Record):
    """`clips/<video>/<recipe>/sound/<sound recipe>/0003.json`: the state of a clip's sound, written after it.

    `reason` says which part is missing; `speech_share` is the share of the clip in which somebody speaks, None if nobody listened for it.
    """

    state: SoundState
    reason: str
    speech_share: float | None

    @property
    def has_speech(self) -> bool:
        """Check whether somebody speaks."""
        return self.speech_share is not None and self.speech_share >= MIN_SPEECH_SHARE


class SoundResult(Record):
    """The sound of the clips of a training, a comparison or a prediction, in numbers.

    `recipes` are those that the networks hear by. `num_described` and `seconds` are of this run; the other clips were described before.
    `warnings` has each clip in which there is nothing to hear, or not all the time, with the reason; `set_aside` those whose file cannot be
    read. In the clips `with_speech`, by their uids, somebody speaks; None if nobody listened for it.
    """

    recipes: tuple[SoundRecipe, ...]
    num_clips: int
    num_described: int
    num_silent: int
    num_without_track: int
    num_unreadable: int
    with_speech: tuple[str, ...] | None
    seconds: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]
