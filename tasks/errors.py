"""Define an exception per kind of failure, whose exit code tells whether to retry."""

from typing import ClassVar

from tasks.wording import without_secrets


class RetakeError(Exception):
    """A failure; its one-line message names the problem, the file, and what to do."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        # Logs and records keep the message.
        super().__init__(without_secrets(message))


class BadInput(RetakeError):
    """The given data cannot be used; do not retry."""

    exit_code = 65


class TooLarge(BadInput):
    """A file is larger than the limit for it."""


class TooSlow(BadInput):
    """Reading a file takes longer than from a disk of the minimum speed."""


class BadVideo(BadInput):
    """A video cannot be probed, decoded or cut; only this video is skipped."""


class OutOfMemory(BadVideo):
    """Reading a video exceeded its memory limit or crashed; it may succeed alone."""


class OutOfRoom(OutOfMemory):
    """ffmpeg reports a full disk that has room; alone or later, the video may succeed."""


class BadLabels(BadInput):
    """An annotation file cannot be read at all."""


class BadDataset(BadInput):
    """The labelled clips are not sufficient for training and testing."""


class BadCheckpoint(BadInput):
    """A checkpoint is missing, has wrong shapes, mismatches its hash, or would run code."""


class MissingObject(BadInput):
    """An object that an earlier step should have written is missing from the store."""


class OutOfReach(MissingObject):
    """A video left on another server cannot be read there for now; only it waits."""


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
    """The work is done, or there is no input yet; the runner skips the task."""

    exit_code = 99
