"""Compare this machine's answers with the expected ones; `python predict.py --check` runs it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
BATCH_SIZES = (1, 2, 5)
MAX_LEVELS = 2  # of 255, because versions of ffmpeg convert colours a little differently
MAX_PROBABILITY = 0.001


def check(contract: dict[str, Any], run: Callable[..., Any], windows: Callable[..., Any], video: Callable[..., Any]) -> int:
    """Print a line of JSON for each part; return 1 if one is off."""
    expected = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
    with np.load(HERE / "expected.npz") as file:
        arrays = dict(file)
    digest = hashlib.sha256(json.dumps(contract, sort_keys=True).encode()).hexdigest()
    altered = "" if digest == expected["contract_sha256"] else "contract.json is not that of the export; export the package anew"
    parts = [("network", network(contract, arrays, run)), ("labels", labels(contract, expected)), ("contract", altered)]
    if all(described["kind"] == "frames" for described in contract["inputs"]):
        clip = str(HERE / "clip.mp4")
        undecoded = decoding(video(clip, contract["window"]["fps"]).decoded(), expected["frame_hashes"])
        pictures = (
            "cannot be told while decoding is off"
            if undecoded
            else preprocessing(contract, arrays, windows(clip, contract, contract["window"]["num_frames"]))
        )
        parts = [("decoding", undecoded), ("preprocessing", pictures), *parts]
    for part, problem in parts:
        print(json.dumps({"part": part, "right": not problem, "problem": problem}))
    return int(any(problem for _, problem in parts))


def decoding(frames: Iterator[Any], hashes: list[str]) -> str:
    """Compare the planes of each frame of the video, which every decoder makes alike."""
    own = [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for _, frame in frames]
    num_different = sum(ours != theirs for ours, theirs in zip_longest(own, hashes))
    return f"{num_different} of {len(hashes)} decoded frames differ; install another version of av" if num_different else ""


def preprocessing(contract: dict[str, Any], arrays: dict[str, Any], seen: Iterator[Any]) -> str:
    """Compare the pictures that the network is shown of the video."""
    try:
        shown = list(seen)
    except ValueError as error:
        return f"the video of the check cannot be cut: {error}"
    for _, _, inputs in shown:
        for name, own in inputs.items():
            theirs = arrays[f"cut/{name}"]
            if own.shape != theirs.shape:
                return f"{name} has the shape {own.shape} in place of {theirs.shape}"
            if (levels := int(np.abs(own.astype(int) - theirs).max())) > MAX_LEVELS:
                return f"colours of {name} differ by up to {levels} of 255, {MAX_LEVELS} are allowed: other frames, another size or colours"
    return "" if shown else "the video of the check has no window"


def network(contract: dict[str, Any], arrays: dict[str, Any], run: Callable[..., Any]) -> str:
    """Compare logits and probabilities in batches of a window and its upside-down copy in turns."""
    for size in sorted({name.partition("/")[0] for name in arrays}):
        for num_windows in BATCH_SIZES:
            turns = [i % 2 for i in range(num_windows)]
            inputs = {}
            for described in contract["inputs"]:
                upright = arrays[f"{size}/{described['name']}"]
                inputs[described["name"]] = np.stack([upright[:, ::-1] if turned else upright for turned in turns])
            outputs = run(inputs)
            for head in ("verb", "noun"):
                if f"{head}_logits" not in outputs:
                    continue
                where = f"at a batch of {num_windows}, with frames as {'videos are cut' if size == 'cut' else 'large as the video'}"
                logits = outputs[f"{head}_logits"]
                off = float(np.abs(logits - arrays[f"{size}/{head}_logits"][turns]).max())
                if not off <= contract["tolerance"][size]:
                    return f"{head} logits differ by {off:.3g}, {contract['tolerance'][size]:.3g} is allowed, {where}"
                powers = np.exp((logits - logits.max(1, keepdims=True)) / contract[f"{head}_temperature"])
                off = float(np.abs(powers / powers.sum(1, keepdims=True) - outputs[f"{head}_probabilities"]).max())
                if not off <= MAX_PROBABILITY:
                    return f"{head} probabilities are not those of their logits at the contract's temperature: {off:.3g} off, {where}"
    return ""


def labels(contract: dict[str, Any], expected: dict[str, Any]) -> str:
    """Compare the names of the classes with those of the registered model."""
    for kind in ("verbs", "nouns"):
        for i, (own, theirs) in enumerate(zip_longest(contract[kind], expected[kind])):
            if own != theirs:
                return f"{kind} {i} is named {own} in contract.json, and {theirs} in the registered model"
    return ""
