"""Listen for speech in the sound of a clip, for the data checks.

OpenVINO runs the file of the package `silero-vad` (6.2.3, MIT), whose code would limit torch to one thread.
"""

# n: samples, c: chunks of 32 ms

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tasks.errors import BadConfiguration
from tasks.learn.hardware import silenced

PACKAGE = "silero-vad"
FILE = "silero_vad/data/silero_vad_16k_sequence.onnx"
INSTALL = f"pip install {PACKAGE}==6.2.3"
CHUNK_SAMPLES = 512
CONTEXT_SAMPLES = 64
"""Each chunk is scored with the end of the chunk before it."""

MIN_PROBABILITY = 0.5
"""Probability from which a chunk is speech, as in the package."""

SpeechDetector = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Computes the probability (c,) of speech in successive chunks (c, context + chunk)."""


def load_speech_detector() -> SpeechDetector | None:
    """Load the network of the installed package; None without the package.

    Raises:
        BadConfiguration: the package has no such network.
    """
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(FILE)))
    except metadata.PackageNotFoundError:
        return None
    if not path.is_file():
        raise BadConfiguration(f"{path}: no such file in the installed {PACKAGE}; run `{INSTALL}`, or uninstall it")
    with silenced():
        import openvino  # type: ignore[import-untyped]  # slow to import

        # Other precisions, which some processors prefer, would give other shares of speech.
        graph = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    state = np.zeros((1, 1, 128), np.float32)
    return lambda chunks: np.asarray(graph({"input": chunks, "h": state, "c": state})["speech_probs"], np.float32)


def speech_share(samples: NDArray[np.float32], detector: SpeechDetector) -> float:
    """Compute the share of sound (n,) at 16 kHz in which somebody speaks."""
    num_chunks = -(-len(samples) // CHUNK_SAMPLES)
    padded = np.zeros(CONTEXT_SAMPLES + num_chunks * CHUNK_SAMPLES, np.float32)
    padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(samples)] = samples
    chunks = sliding_window_view(padded, CONTEXT_SAMPLES + CHUNK_SAMPLES)[::CHUNK_SAMPLES]
    return float((detector(np.ascontiguousarray(chunks)) >= MIN_PROBABILITY).mean())
