"""Declare the options of tests."""

from typing import ClassVar, Literal

from pydantic import Field

from tasks.options.base import Options


class EvaluateOptions(Options):
    """Set how a network is tested."""

    section: ClassVar[str] = "Evaluation"

    crops: Literal[1, 10] = Field(10, title="Crops", description="10: TSN's ten crops; 1: the centre crop, for a quick check")
    bootstrap_resamples: int = Field(
        2000, ge=100, le=100_000, title="Bootstrap resamples", description="Of source videos, for the 95 % intervals of differences"
    )
    engine: Literal["auto", "pytorch", "openvino", "openvino-int8", "cuda"] = Field(
        "auto",
        title="Inference engine",
        description="auto: CUDA on a GPU; on a CPU OpenVINO, or PyTorch for fewer than 10 clips; openvino-int8 is calibrated on training clips. Each engine is checked on 3 clips (int8: 30) against PyTorch in float32; if a logit differs by more than a tolerance, or a top class by more than a near tie, OpenVINO falls back to float32, or to PyTorch",
    )
