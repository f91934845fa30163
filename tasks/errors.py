"""One exception class per kind of failure, each with the exit code that tells a runner whether a retry can help."""

from typing import ClassVar


class RetakeError(Exception):
    """A failure whose message is one line for a person: what is wrong, with which file, and what to do."""

    exit_code: ClassVar[int] = 1


class BadInput(RetakeError):
    """The data that people gave cannot be used; a retry changes nothing."""

    exit_code = 65


class BadVideo(BadInput):
    """One video cannot be probed, decoded or cut; it is set aside and the rest goes on."""


class OutOfMemory(BadVideo):
    """Reading a video took more memory than it was given, or crashed; alone, with more of it, it may succeed."""


class BadLabels(BadInput):
    """An annotation file as a whole cannot be read."""


class BadDataset(BadInput):
    """The labelled clips do not make a dataset that can be trained and tested."""


class BadCheckpoint(BadInput):
    """A checkpoint is missing, is not what its name says, has the wrong shapes or would run code."""


class MissingObject(BadInput):
    """An object that an earlier step should have written is not in the store."""


class Unavailable(RetakeError):
    """The object store, MLflow or a download does not answer; a retry may help."""

    exit_code = 75


class BadConfiguration(RetakeError):
    """Settings or options contradict each other or name something that does not exist."""

    exit_code = 78


class NothingToDo(RetakeError):
    """The work was done before, or there is nothing yet to do it on; the runner marks the task as skipped and shows the message."""

    exit_code = 99
