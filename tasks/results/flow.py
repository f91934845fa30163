"""What flows and flow write."""

from tasks.options import FlowOptions
from tasks.results.record import Record, SetAside
from tasks.results.video import BatchRef


class FlowClip(Record):
    """A clip whose optical flow is wanted; `uid` is what messages call it."""

    uid: str
    uri: str
    num_frames: int


class FlowBatch(Record):
    """The clips of one mapped task, and how their flow is computed. It lies beside each clip, under a hash of these options."""

    options: FlowOptions
    clips: tuple[FlowClip, ...]


class FlowsResult(Record):
    """Whose flow is missing, in batches. `num_missing` counts a clip once for each kind of flow."""

    num_clips: int
    num_missing: int
    batches: tuple[BatchRef, ...]


class FlowResult(Record):
    """What became of one batch. `num_computed` and the speed are of what was computed here; other clips had their flow already."""

    num_clips: int
    num_computed: int
    num_fields: int
    seconds: float
    fields_per_second: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]
