"""Define the results of flows and flow."""

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
