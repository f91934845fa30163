"""Load the plugins of installed packages, by Python's entry points."""

from importlib.metadata import EntryPoint
from typing import TypeVar

from tasks.errors import BadConfiguration

LABEL_FORMATS = "retake.label_formats"
BACKBONES = "retake.backbones"
"""Groups of entry points. Retake's own formats and backbones are not among them: a registered model carries the code without a distribution."""

T = TypeVar("T")


def load(entry: EntryPoint, kind: type[T] | tuple[type[T], ...]) -> T:
    """Load a plugin.

    Raises:
        BadConfiguration: it cannot be imported, or is nothing of this kind.
    """
    try:
        plugin = entry.load()
    except Exception as error:
        raise BadConfiguration(f"{described(entry)} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(plugin, kind):
        raise BadConfiguration(f"{described(entry)} is a {type(plugin).__name__}, and no plugin of {entry.group}")
    return plugin


def described(entry: EntryPoint) -> str:
    """Name a plugin with its distribution."""
    return f"the plugin {entry.name} of {entry.dist.name} {entry.dist.version}" if entry.dist else f"the plugin {entry.name}"
