"""What librosa, essentia and aisfx made of a test sound."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.model.sound.reference import FILE


@pytest.fixture(scope="session")
def reference() -> Mapping[str, NDArray[np.float32]]:
    with np.load(FILE, allow_pickle=False) as found:
        return dict(found)
