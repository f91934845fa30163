"""Lists every address that the layout can make, with placeholders for what is not known before."""

import inspect
import typing
from collections.abc import Iterator

from tasks.store.layout import Layout, flow_of_clip, sound_note_of_clip, sound_of_clip
from tasks.store.stored import FIELD, Below, Folder, Keyed, Stored

ROOT = "s3://store"
LEFT_OUT = {"digest", "file", "folder_uri", "holds", "key", "model", "name_of", "place_uri", "recipe", "store_uri", "uri"}
"""What reads an address, and what names the place itself."""


def addresses() -> dict[str, str]:
    """Give every address below a store, with the name of its record's model where it has one."""
    clip = Layout(ROOT).clips("<video>", "<recipe>").clip(3)
    note = sound_note_of_clip(clip, "<sound recipe>")
    beside = ((flow_of_clip(clip, "<flow recipe>"), ""), (sound_of_clip(clip, "<sound recipe>"), ""), (note.uri, note.model.__name__))
    return {uri.removeprefix(f"{ROOT}/"): model for uri, model in (*_below(Layout(ROOT)), *beside)}


def _below(place: object) -> Iterator[tuple[str, str]]:
    if isinstance(place, str):
        if place.startswith(ROOT):
            yield place, ""
        return
    if isinstance(place, Stored):
        yield place.uri, place.model.__name__
    if isinstance(place, Folder):
        yield place.folder_uri, ""
    for name, member in inspect.getmembers(type(place)):
        if name.startswith("_") or name in LEFT_OUT:
            continue
        if isinstance(member, (property, Below)):
            yield from _below(getattr(place, name))
        elif isinstance(member, Keyed):
            _, key, spec, _ = FIELD.split(member.template)
            yield from _below(getattr(place, name)(3 if spec else f"<{key}>"))
        elif inspect.isfunction(member):
            hints = typing.get_type_hints(member)
            arguments = {name: 3 if kind is int else f"<{name}>" for name, kind in hints.items() if name != "return"}
            yield from _below(getattr(place, name)(**arguments))
