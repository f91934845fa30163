"""List the options of the chained DAGs, for their forms and for `make run`."""

from tasks.options.base import Options
from tasks.options.data import IngestOptions, LabelOptions, SegmentOptions, SplitOptions
from tasks.options.evaluation import EvaluateOptions, GateOptions, LearningCurveOptions, RegisterOptions
from tasks.options.presets import PresetOptions
from tasks.options.retrain import RetrainOptions
from tasks.options.start import TrainOptions

OptionModels = tuple[type[Options], ...]

INGEST: OptionModels = (IngestOptions, SegmentOptions)
DATASET: OptionModels = (SplitOptions, LabelOptions)
"""The dataset's form also has `SegmentOptions`, which an ingest passes on."""
RETRAIN: OptionModels = (PresetOptions, RetrainOptions, TrainOptions, EvaluateOptions, LearningCurveOptions, RegisterOptions, GateOptions)
