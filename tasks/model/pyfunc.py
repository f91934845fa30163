"""Define the MLflow model that predicts from video clips.

Runs from the code packaged with it, without store or settings.
"""

# t: segments, m: frames of a snippet, h, w: pixels, p: 8-bit planes of a snippet, v: verbs, n: nouns

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import softmax

from tasks.errors import BadInput
from tasks.model.checkpoints import Saved, load
from tasks.model.crops import NumCrops
from tasks.model.engines.engine import prepare
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.engines.scorer import Scorer
from tasks.model.hardware import choose_device
from tasks.model.hearing import heard, recipe_heard, rows_of
from tasks.model.sampling import evaluation_snippets, joined, kept_frames, middle_frames
from tasks.model.sound.describe import Describer, describer
from tasks.model.sound.stored import Sound
from tasks.model.spec import SHORT_SIDE, NetworkSpec
from tasks.options import FlowOptions
from tasks.results.sound import SoundRecipe
from tasks.video.fields import FLOW_SUFFIX, iter_fields, num_fields
from tasks.video.flow import FlowMaker
from tasks.video.frames import read_frames
from tasks.video.memory import undivided
from tasks.video.probe import count_frames
from tasks.video.sound import read_sound

NUM_CROPS: NumCrops = 10

Frames = NDArray[np.uint8]


class ClipModel:
    """Networks, fusion weights and class names of a checkpoint.

    Scores each clip with the 10 crops of the test protocol.
    """

    def __init__(self, saved: Saved) -> None:
        device = choose_device("auto")
        self._classes = saved.classes
        self._specs = [network.spec for network in saved.networks]
        self._hearing = {recipe: describer(recipe) for recipe in {recipe_heard(spec) for spec in self._specs if spec.modality.is_heard}}
        engines = tuple(PytorchEngine(prepare(network, device), NUM_CROPS) for network in saved.networks)
        self._scorer = Scorer(engines, saved.weights, saved.joint and saved.joint.eval())

    def predict(self, model_input: pd.DataFrame | Iterable[str | bytes], params: dict[str, object] | None = None) -> pd.DataFrame:
        """Predict the verb and noun of clips.

        Args:
            model_input: paths or bytes of video files; of a table, the first column. The networks were trained on Retake's clips: 8 s,
                30 frames per second.
            params: required by MLflow; ignored.

        Returns:
            One row per clip: `verb` and `noun`, their probabilities, `verb_class` and `noun_class`, and lists of all logits. Probabilities
            are the uncalibrated softmax of the logits. Networks trained on verbs alone return only the verb's columns.

        Raises:
            BadInput: a clip cannot be read; the message names it.
        """
        clips = model_input.iloc[:, 0] if isinstance(model_input, pd.DataFrame) else model_input
        return pd.DataFrame([self._row(clip) for clip in ([clips] if isinstance(clips, (str, bytes)) else clips)])

    def _row(self, clip: str | bytes) -> dict[str, object]:
        with tempfile.TemporaryDirectory(prefix="retake-clip-") as folder:
            path = Path(clip) if isinstance(clip, str) else Path(folder) / "clip.mp4"
            if isinstance(clip, bytes):
                path.write_bytes(clip)
            elif not path.is_file():
                raise BadInput(f"{clip}: no such file")
            verb, noun = self._scorer.score(_snippets(path, self._specs, self._hearing, Path(folder)))
        logits = {"verb": verb.numpy(), **({"noun": noun.numpy()} if self._classes.has_objects else {})}
        names = {"verb": self._classes.verbs, "noun": self._classes.nouns}
        best = {head: int(values.argmax()) for head, values in logits.items()}
        return {
            **{head: names[head][class_id] for head, class_id in best.items()},
            **{f"{head}_probability": float(softmax(logits[head].astype(np.float64))[class_id]) for head, class_id in best.items()},
            **{f"{head}_class": class_id for head, class_id in best.items()},
            **{f"{head}_logits": values.tolist() for head, values in logits.items()},
        }


def _load_pyfunc(data_path: str) -> ClipModel:
    """Load the model from a checkpoint; MLflow requires this name."""
    return ClipModel(load(Path(data_path)))


def _snippets(clip: Path, specs: Sequence[NetworkSpec], hearing: Mapping[SoundRecipe, Describer], folder: Path) -> list[Frames]:
    """Read the test input of each network: snippets uint8 (t, h, w, p), or as `hearing.heard` returns it."""
    num_frames = count_frames(clip, memory=undivided())
    flows = {spec.flow: _flow(clip, num_frames, spec.flow, folder) for spec in specs if spec.flow}
    sounds = _sounds(clip, hearing) if hearing else {}
    return [
        heard(rows_of(sounds[recipe_heard(spec)], spec.modality), spec)
        if spec.modality.is_heard
        else _network_snippets(clip, num_frames, spec, flows)
        for spec in specs
    ]


def _network_snippets(clip: Path, num_frames: int, spec: NetworkSpec, flows: dict[FlowOptions, Path]) -> Frames:
    if spec.video:
        numbers = tuple(kept_frames(num_frames, spec))
        frames = read_frames(clip, numbers, short_side=SHORT_SIDE, interpolation=spec.interpolation)
        return joined(np.stack([frames[i] for snippet in evaluation_snippets(len(numbers), spec) for i in snippet]), spec)
    numbers = middle_frames(num_fields(num_frames) if spec.flow else num_frames, spec)
    if spec.flow:
        return joined(np.stack(list(iter_fields(flows[spec.flow], numbers))), spec)
    return joined(read_frames(clip, numbers, short_side=SHORT_SIDE, interpolation=spec.interpolation), spec)


def _flow(clip: Path, num_frames: int, options: FlowOptions, folder: Path) -> Path:
    path = folder / f"{options.flow_method}-{options.flow_bound_pixels}{FLOW_SUFFIX}"
    with FlowMaker(options) as maker:
        maker.write(clip, path, num_frames=num_frames, short_side=SHORT_SIDE)
    return path


def _sounds(clip: Path, hearing: Mapping[SoundRecipe, Describer]) -> dict[SoundRecipe, Sound]:
    """Decode the sound once, and describe it by each recipe as the step `sound` does."""
    found = read_sound(clip, sorted({rate for one in hearing.values() for rate in one.rates_hz}))
    return {
        recipe: one.describe(found.samples, seconds=found.seconds, state=found.state, reason=found.reason)
        for recipe, one in hearing.items()
    }
