"""Declare the options of steps, a file per topic, for command line and forms.

`network` and `training` have those of a training, `retrain` those of its test, gate and registration, and `presets` the recipes.

Other rooms import the names of this file, and `base`, `dag_options`, `presets`, `search`, `training`.
"""

from tasks.options.base import NO_LOGIN_PATTERN, STORE_URI_PATTERN, Options, StoreRoot, StoreUri
from tasks.options.comparison import ComparisonOptions, VersionOptions
from tasks.options.data import CleanUpOptions, Cut, ForgetOptions, IngestOptions, LabelOptions, SegmentOptions, SplitOptions
from tasks.options.export import ChampionExportOptions, ExportOptions
from tasks.options.network import (
    AUTO_BACKBONE,
    SOUND_BACKBONE,
    Consensus,
    Family,
    FlowOptions,
    Head,
    Interpolation,
    Modality,
    NetworkOptions,
)
from tasks.options.prediction import MAX_STRIDE_SECONDS, MIN_STRIDE_SECONDS, MODEL_REFERENCE, PredictOptions
from tasks.options.presets import LIGHT, LONG, ORIGINAL, PRESETS, UNKEYED_PRESETS, PresetOptions, RecipeName, choose_recipe, with_recipe
from tasks.options.retrain import (
    MAX_SEEDS,
    CurveOptions,
    EvaluateOptions,
    GateOptions,
    LearningCurveOptions,
    RegisterOptions,
    RetrainOptions,
)
from tasks.options.search import SearchOptions
from tasks.options.training import RecipeOptions, TrainOptions, Weights

__all__ = [
    "AUTO_BACKBONE", "LIGHT", "LONG", "MAX_SEEDS", "MAX_STRIDE_SECONDS", "MIN_STRIDE_SECONDS", "MODEL_REFERENCE", "NO_LOGIN_PATTERN",
    "ORIGINAL", "PRESETS", "SOUND_BACKBONE", "STORE_URI_PATTERN", "UNKEYED_PRESETS", "ChampionExportOptions", "CleanUpOptions",
    "ComparisonOptions", "Consensus", "CurveOptions", "Cut", "EvaluateOptions", "ExportOptions", "Family", "FlowOptions", "ForgetOptions",
    "GateOptions", "Head", "IngestOptions", "Interpolation", "LabelOptions", "LearningCurveOptions", "Modality", "NetworkOptions",
    "Options", "PredictOptions", "PresetOptions", "RecipeName", "RecipeOptions", "RegisterOptions", "RetrainOptions", "SearchOptions",
    "SegmentOptions", "SplitOptions", "StoreRoot", "StoreUri", "TrainOptions", "VersionOptions", "Weights", "choose_recipe", "with_recipe",
]  # fmt: skip
