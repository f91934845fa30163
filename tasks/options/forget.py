"""Choose the videos to forget, and say why."""

from typing import ClassVar

from pydantic import Field

from tasks.options.base import Options


class ForgetOptions(Options):
    """Choose one video, or all videos of one source, and the reason for the receipt."""

    section: ClassVar[str] = "Forget"

    video: str | None = Field(
        None, min_length=1, title="Video", description="Its name, its content hash, or the first 12 digits of that or more"
    )
    source: str | None = Field(
        None, min_length=1, title="Source", description="In place of a video: a source or recording, all of whose videos are forgotten"
    )
    reason: str = Field("", max_length=500, title="Reason", description="Kept in the receipt, so without the name of the video")
