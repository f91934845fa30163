"""List the options of the chained DAGs, for `make run` and forms, which show some."""

from collections.abc import Iterable

from tasks.options.base import Options
from tasks.options.data import IngestOptions, LabelOptions, SegmentOptions, SplitOptions
from tasks.options.export import ChampionExportOptions
from tasks.options.prediction import PredictOptions
from tasks.options.presets import PresetOptions
from tasks.options.retrain import EvaluateOptions, GateOptions, LearningCurveOptions, RegisterOptions, RetrainOptions
from tasks.options.search import SearchOptions
from tasks.options.training import TrainOptions

OptionModels = tuple[type[Options], ...]

INGEST: OptionModels = (IngestOptions, SegmentOptions)
DATASET: OptionModels = (SplitOptions, LabelOptions)
"""The dataset's form also has `SegmentOptions`, which an ingest passes on."""
RETRAIN: OptionModels = (
    PresetOptions,
    RetrainOptions,
    TrainOptions,
    EvaluateOptions,
    LearningCurveOptions,
    RegisterOptions,
    GateOptions,
    ChampionExportOptions,
)

_ALL: OptionModels = (*INGEST, *DATASET, *RETRAIN, SearchOptions, PredictOptions)
REMOVED = {name: value for model in _ALL for name, value in model.all_retired().items()}
"""Options of earlier versions, with the defaults that their forms had."""


def removal(names: Iterable[str], prefix: str = "") -> str:
    """Say which of these options were removed; empty if none was."""
    removed = [prefix + name for name in sorted(REMOVED.keys() & set(names))]
    return f"{', '.join(removed)} {'was removed; leave it' if len(removed) == 1 else 'were removed; leave them'} out" if removed else ""
