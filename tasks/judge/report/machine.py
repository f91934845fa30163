"""Describe the machine that computed a result."""

from collections.abc import Mapping

from tasks.wording import size

BYTES, VERSION = "_bytes", "version."


def machine_rows(hardware: Mapping[str, str | int]) -> list[tuple[str, str]]:
    """List names and values of the machine.

    Bytes are formatted as sizes, and library versions are joined in the last row.
    """
    rows = []
    for key, value in hardware.items():
        if key.endswith(BYTES) and isinstance(value, int):
            rows.append((key.removesuffix(BYTES).replace("_", " "), size(value)))
        elif not key.startswith(VERSION):
            rows.append((key.replace("_", " "), str(value)))
    versions = [f"{key.removeprefix(VERSION)} {value}" for key, value in hardware.items() if key.startswith(VERSION)]
    return [*rows, ("versions", ", ".join(versions))] if versions else rows
