"""Class ids of EPIC-KITCHENS-55: the few names that ship, and those that people's own files bring."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Literal

from tasks.dataset.wording import near, quoted
from tasks.results.dataset import ClassRef

NUM_VERBS = 125
NUM_NOUNS = 352
VERBS = {"take": 0, "put": 1, "open": 2, "close": 3, "move": 9}
NOUNS = {"pan": 1, "pot": 15, "bag": 20, "meat": 26, "potato": 27, "container": 29, "sauce": 41, "tortilla": 80}


def normal_name(text: str) -> str:
    """The one spelling of a class name: lower case, words joined by `-`, so that an action is two words."""
    return re.sub(r"[\s_]+", "-", unicodedata.normalize("NFKC", text).strip().casefold())


class ClassNames:
    """What is known of one target's classes: name to id, one to one, and other words for them.

    `where` of a definition is a file and line, for the message about one that contradicts it.
    """

    def __init__(self, target: Literal["verb", "noun"], shipped: Mapping[str, int]) -> None:
        self.target = target
        self._id_by_name = dict(shipped)
        self._name_by_id = {class_id: name for name, class_id in shipped.items()}
        self._where: dict[str, str] = {}
        self._ids_by_synonym: dict[str, set[int]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._id_by_name or len(self._ids_by_synonym.get(name, ())) == 1

    def define(self, name: str, class_id: int, where: str) -> None:
        """Give `class_id` its name; saying what is known already is no error.

        Raises:
            ValueError: the name has another id, or the id another name; the message says where.
        """
        known_id, known_name = self._id_by_name.get(name), self._name_by_id.get(class_id)
        if known_id is not None and known_id != class_id:
            raise ValueError(f"{self.target}_class of {quoted(name)} is {known_id}{self._said(name)}, not {class_id}")
        if known_name is not None and known_name != name:
            raise ValueError(
                f"{self.target}_class {class_id} is {quoted(known_name)}{self._said(known_name)}, not {quoted(name)}; "
                f"write {quoted(known_name)}, or its own id"
            )
        if known_id is None:
            self._id_by_name[name] = class_id
            self._name_by_id[class_id] = name
            self._where[name] = where

    def add_synonym(self, synonym: str, class_id: int) -> None:
        """Let `synonym` mean a class as well. A class's own name goes before it; one of two classes needs an id."""
        self._ids_by_synonym.setdefault(synonym, set()).add(class_id)

    def learn(self, name: str, class_id: int, where: str) -> None:
        """Define a class from a label that carries its id, unless the name is a known synonym of that id.

        Raises:
            ValueError: as `define`.
        """
        if class_id not in self._ids_by_synonym.get(name, ()):
            self.define(name, class_id, where)

    def find(self, name: str, class_id: int | None = None) -> ClassRef:
        """The class that `name` means, by its own name.

        Raises:
            ValueError: no class, or two; the message says what to do.
        """
        ids = self._ids_by_synonym.get(name, set())
        if class_id is not None and class_id in ids:
            return ClassRef(id=class_id, name=self._name_by_id[class_id])
        if name in self._id_by_name:
            return ClassRef(id=self._id_by_name[name], name=name)
        if len(ids) > 1:
            raise ValueError(f"{self.target} {quoted(name)} means the classes {sorted(ids)}; give its {self.target}_class")
        if not ids:
            raise ValueError(
                f"unknown {self.target} {quoted(name)}{near(name, [*self._id_by_name, *self._ids_by_synonym])}; give its EPIC-KITCHENS-55 "
                f"id in a column {self.target}_class, or put EPIC_{self.target}_classes.csv among the annotation files"
            )
        (only,) = ids
        return ClassRef(id=only, name=self._name_by_id[only])

    def _said(self, name: str) -> str:
        return f" ({self._where[name]})" if name in self._where else ""
