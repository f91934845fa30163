"""Declare the options of packages for other machines."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.options.base import Options

MAX_DROP_POINTS = Field(
    2.0,
    gt=0,
    le=100,
    title="Margin of int8, percentage points",
    description="int8 is delivered only if the lower limit of its paired difference from floating point on val is not below minus this",
)


class ExportOptions(Options):
    """Choose the runtime and the precision of a package."""

    section: ClassVar[str] = "Export"

    format: Literal["onnx", "openvino"] = Field("onnx", title="Format", description="onnx: for ONNX Runtime; openvino: for OpenVINO")
    precision: Literal["fp32", "fp16", "int8"] = Field(
        "fp32", title="Precision", description="Of the weights; int8 is calibrated on training clips and must pass a paired test on val"
    )
    max_drop_points: float = MAX_DROP_POINTS

    @model_validator(mode="after")
    def _refuse_onnx_in_fp16(self) -> Self:
        if (self.format, self.precision) == ("onnx", "fp16"):
            raise ValueError("precision fp16: an ONNX file is of fp32 or int8; choose one of these, or format openvino")
        return self


class ChampionExportOptions(Options):
    """Choose whether each new champion is packed for other machines. It changes no training."""

    section: ClassVar[str] = "Export"

    export: Literal["off", "onnx", "openvino", "openvino-int8"] = Field(
        "off",
        title="Package of a new champion",
        description="A folder that answers videos on machines without Retake: onnx in fp32, openvino in fp16, or openvino in int8 where val shows that it is as good",
    )
    max_drop_points: float = MAX_DROP_POINTS

    @property
    def asked(self) -> ExportOptions:
        """Return the options of the package."""
        name, _, precision = self.export.partition("-")
        if name == "openvino":
            return ExportOptions(format="openvino", precision="int8" if precision else "fp16", max_drop_points=self.max_drop_points)
        return ExportOptions()
