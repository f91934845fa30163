"""Describe the command that trains a smaller network from the answers of a trained one."""

from pydantic import Field

from tasks.options import Options, StoreRoot
from tasks.options.base import MODEL_NAME_PATTERN
from tasks.pipeline.step import Command
from tasks.store.records.training import DistilResult


class DistilArguments(Options):
    """The teacher, and the backbone of its student."""

    model: str = Field(description="The teacher: models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of this store")
    student: str = Field(
        pattern=MODEL_NAME_PATTERN,
        title="Student",
        description="Backbone of the smaller network: a model of timm or torchvision, such as tf_efficientnet_lite0",
    )
    store: StoreRoot | None = Field(None, title="Store", description="s3:// address; empty takes the one that keeps the teacher")


DISTIL = Command(
    name="distil",
    summary="train a smaller network from the answers of a trained one",
    module="distil.distil",
    arguments=DistilArguments,
    result=DistilResult,
    image="trainer",
    gpu=True,
    positional={"model": "MODEL"},
)
