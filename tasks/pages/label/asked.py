"""Define what the page's script asks for, and check it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tasks.data.labels.vocabulary import class_name, noun_name, require_no_object
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tasks.store.records.labelling import Answer, Moment, Reading, Suggested, Token, VideoHash, require_order, require_words

Name = Annotated[str, Field(max_length=200), AfterValidator(class_name)]
NameOrNoObject = Annotated[str, Field(max_length=200), AfterValidator(noun_name)]
Uid = Annotated[str, Field(pattern=r"^[0-9a-f]{12}_[0-9]{9,12}-[0-9]{9,12}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    token: Token


class AskedClip(_Asked):
    """An answer about a clip; `over` and `checked` are those of `ClipStatement`."""

    kind: Literal["clip"]
    uid: Uid
    answer: Answer
    verb: Name | None = None
    noun: NameOrNoObject | None = None
    reading: Reading = "first"
    suggested: Suggested | None = None
    over: Token | None = None
    checked: bool = False

    @model_validator(mode="after")
    def _an_action_has_words(self) -> "AskedClip":
        require_words(self.answer, self.verb, self.noun)
        if self.verb and self.noun:
            require_no_object(self.verb, self.noun)
        return self


class AskedInterval(_Asked):
    """An action in a video."""

    kind: Literal["interval"]
    video: VideoHash
    start_seconds: Moment
    stop_seconds: Moment
    verb: Name
    noun: NameOrNoObject
    replaces: Token | None = None
    suggested: Suggested | None = None

    @model_validator(mode="after")
    def _stops_after_its_start(self) -> "AskedInterval":
        require_order(self.start_seconds, self.stop_seconds)
        require_no_object(self.verb, self.noun)
        return self


class AskedWithdrawal(_Asked):
    """A statement to take back."""

    kind: Literal["withdrawal"]
    withdrawn: Token
    undo: bool = False


class AskedMerge(_Asked):
    """A class to rename, or to merge into another."""

    kind: Literal["class"]
    target: Literal["verb", "noun"]
    name: Name
    same_as: NameOrNoObject

    @model_validator(mode="after")
    def _a_verb_becomes_a_verb(self) -> "AskedMerge":
        if self.target == "verb" and self.same_as in (NO_OBJECT, NOTHING):
            raise ValueError(f"a verb cannot become {self.same_as}")
        return self


AskedStatement = Annotated[AskedClip | AskedInterval | AskedWithdrawal | AskedMerge, Field(discriminator="kind")]


@dataclass(frozen=True)
class ReviewQuery:
    """Which labels to list, and which page of them."""

    by: str | None = None
    video: str | None = None
    name: str | None = None
    show: Literal["all", "intervals", "files", "conflicts", "unsure", "second"] = "all"
    page: int = 0
