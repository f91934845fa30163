"""List the options of the chained DAGs, for their forms and for `make run`."""

from tasks.options.base import Options
from tasks.options.dataset import LabelOptions, SplitOptions
from tasks.options.evaluation import EvaluateOptions
from tasks.options.ingest import IngestOptions, SegmentOptions
from tasks.options.learning_curve import LearningCurveOptions
from tasks.options.presets import PresetOptions
from tasks.options.promotion import GateOptions, RegisterOptions
from tasks.options.retrain import RetrainOptions
from tasks.options.training import TrainOptions

OptionModels = tuple[type[Options], ...]

INGEST: OptionModels = (IngestOptions, SegmentOptions)
DATASET: OptionModels = (SplitOptions, LabelOptions)
"""The dataset's form also has `SegmentOptions`, which an ingest passes on."""
RETRAIN: OptionModels = (PresetOptions, RetrainOptions, TrainOptions, EvaluateOptions, LearningCurveOptions, RegisterOptions, GateOptions)
