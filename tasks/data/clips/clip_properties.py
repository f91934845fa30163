"""Name the properties of a clip in the store that each cache needs."""

from typing import Protocol


class HeardClip(Protocol):
    """The properties of a clip that its sound needs."""

    @property
    def uid(self) -> str:
        """Return the clip's uid."""

    @property
    def uri(self) -> str:
        """Return the clip's address."""


class SeenClip(HeardClip, Protocol):
    """The properties of a clip that optical flow needs."""

    @property
    def num_frames(self) -> int:
        """Return the clip's number of frames."""


class CachedSound(HeardClip, Protocol):
    """The properties of a clip that the cache of its sound needs."""

    @property
    def sha256(self) -> str:
        """Return the content hash."""


class StoredClip(SeenClip, CachedSound, Protocol):
    """A clip in the store, in a dataset or not."""

    @property
    def width(self) -> int:
        """Return the width in pixels."""

    @property
    def height(self) -> int:
        """Return the height in pixels."""
