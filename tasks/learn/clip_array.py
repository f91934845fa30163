"""Open the array of one clip's frames or sound. Does not import torch."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadDataset, MissingObject


def open_array(path: Path, content: str, remedy: str) -> NDArray[Any]:
    """Map an .npy file of a clip into memory.

    Args:
        path: the file.
        content: its content in the plural, for errors.
        remedy: how to make it anew, for errors.

    Raises:
        MissingObject: the file does not exist.
        BadDataset: it is no array.
    """
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise MissingObject(f"{path}: the clip's {content} are missing; {remedy}") from None
    except (EOFError, ValueError) as error:
        raise BadDataset(f"{path}: not an array of {content} ({error}); delete it and {remedy}") from None
    return found
