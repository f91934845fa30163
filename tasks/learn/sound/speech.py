"""Hear whether somebody speaks, with the network of the package `silero-vad` (Silero VAD 6.2.3, MIT).

OpenVINO runs the package's file; the package's code is not used. Importing it would limit torch to one thread.
"""

# n: samples, c: chunks of 32 ms

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.learn.engines.quiet import silenced

RATE_HZ = 16_000
CHUNK_SAMPLES = 512
CONTEXT_SAMPLES = 64
"""Each chunk is heard with the end of the one before it."""

CHUNKS_PER_SECOND = RATE_HZ / CHUNK_SAMPLES

STATE_SHAPE = (1, 1, 128)

MIN_PROBABILITY = 0.5
"""From here on a chunk is speech, as in the package."""

SpeechDetector = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Computes the probability (c,) of speech in successive chunks (c, context + chunk)."""


def load_speech(path: Path) -> SpeechDetector:
    """Load the network from the package's file `silero_vad_16k_sequence.onnx`."""
    with silenced():
        import openvino  # type: ignore[import-untyped]  # slow to import

        # Other precisions, which some processors prefer, would give other shares of speech.
        graph = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    rest = np.zeros(STATE_SHAPE, np.float32)

    def probabilities(chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(graph({"input": chunks, "h": rest, "c": rest})["speech_probs"], np.float32)

    return probabilities


def hear_speech(samples: NDArray[np.float32], detector: SpeechDetector) -> NDArray[np.bool_]:
    """Say of each chunk (c,) of sound (n,) at 16 kHz whether somebody speaks."""
    num_chunks = -(-len(samples) // CHUNK_SAMPLES)
    padded = np.zeros(CONTEXT_SAMPLES + num_chunks * CHUNK_SAMPLES, np.float32)
    padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(samples)] = samples
    chunks = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT_SAMPLES + CHUNK_SAMPLES)[::CHUNK_SAMPLES]
    return np.asarray(detector(np.ascontiguousarray(chunks)) >= MIN_PROBABILITY, np.bool_)
