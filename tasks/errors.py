"""Define an exception per kind of failure.

The exit code tells a runner whether to retry.
"""

from typing import ClassVar

from tasks.wording import without_secrets


class RetakeError(Exception):
    """A failure with a one-line message for people.

    The message has the problem, the file, and what to do. It is kept in logs and records, so addresses lose their secrets.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(without_secrets(message))


class BadInput(RetakeError):
    """The given data cannot be used; do not retry."""

    exit_code = 65


class TooLarge(BadInput):
    """A file is larger than the limit for it."""


class TooSlow(BadInput):
    """Reading a file takes longer than a disk of the minimum speed needs for it."""


class BadVideo(BadInput):
    """A video cannot be probed, decoded or cut; only this video is skipped."""


class OutOfMemory(BadVideo):
    """Reading a video exceeded its memory limit or crashed.

    It may succeed alone, with more memory.
    """


class OutOfRoom(OutOfMemory):
    """ffmpeg's log of a video tells of a full disk, but the disk has room.

    The video may succeed alone or later; more memory changes nothing.
    """


class BadLabels(BadInput):
    """An annotation file cannot be read at all."""


class BadDataset(BadInput):
    """The labelled clips are not sufficient for training and testing."""


class BadCheckpoint(BadInput):
    """A checkpoint cannot be used.

    It is missing, has wrong shapes, would run code, or its hash does not match its name.
    """


class MissingObject(BadInput):
    """An object that an earlier step should have written is missing from the store."""


class OutOfReach(MissingObject):
    """A video left on another server cannot be read there for now.

    Only this video waits.
    """


class NotThere(RetakeError):
    """The labelling page has no such clip, video or statement."""


class Unavailable(RetakeError):
    """The object store, MLflow or a download is unavailable; retry."""

    exit_code = 75


class Terminated(Unavailable):
    """This process received SIGTERM; a retry goes on."""


class BadConfiguration(RetakeError):
    """Settings or options contradict each other, or name something that does not exist."""

    exit_code = 78


class NothingToDo(RetakeError):
    """The work is already done, or there is no input yet.

    The runner skips the task and shows the message.
    """

    exit_code = 99
