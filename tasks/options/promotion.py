"""Declare the options of the gate and of the registry."""

from typing import ClassVar, Literal

from pydantic import Field

from tasks.options.base import MODEL_NAME_PATTERN, Options


class GateOptions(Options):
    """Set when the fine-tuned network replaces the champion. The champion is scored on the same clips; a tie keeps it."""

    section: ClassVar[str] = "Promotion"

    promotion: Literal["auto", "approve", "never"] = Field(
        "auto",
        title="Promotion",
        description="If every rule passes, or there is no champion yet: auto promotes at once; approve asks a person in Airflow; never only registers the model",
    )
    approval_hours: int = Field(
        72,
        ge=1,
        le=8760,
        title="Approval timeout, hours",
        description="Without an answer by then the champion stays; until then no other retrain starts",
    )
    min_gate_clips: int = Field(
        10, ge=1, le=1_000_000, title="Minimum clips", description="In the split that decides: test, or val if there is no test"
    )
    min_gate_sources: int = Field(3, ge=1, le=1_000_000, title="Minimum source videos", description="Source videos of those clips")
    gain_rule: Literal["interval", "margin"] = Field(
        "interval",
        title="Gain rule",
        description="interval: the 95 % interval of the difference in action top-1 must lie above zero; margin: the difference must also exceed the minimum gain",
    )
    min_gain_points: float = Field(
        1.0, ge=0, le=100, title="Minimum gain, percentage points", description="In action top-1, for gain rule margin"
    )
    beat_guessing: bool = Field(
        True,
        title="Must beat guessing",
        description="Action top-1 (verb top-1 if no label has an object) must be higher than always guessing the most frequent class",
    )
    max_class_loss_points: float = Field(
        20.0,
        ge=0,
        le=100,
        title="Maximum recall loss per class, percentage points",
        description="For verbs and nouns with enough clips. A larger loss counts if chance explains it in fewer than one of twenty such comparisons of all these classes",
    )
    min_class_clips: int = Field(
        10, ge=1, le=1_000_000, title="Minimum clips per class", description="Classes with fewer clips are shown, but decide nothing"
    )


class RegisterOptions(Options):
    """Choose the registered model."""

    section: ClassVar[str] = "Registration"

    model_name: str = Field(
        "retake-tsn",
        pattern=MODEL_NAME_PATTERN,
        title="Registered model",
        description="Name in MLflow's registry; networks registered under one name compete for its champion",
    )
