"""Prepare the worst mistakes with their pictures."""

from dataclasses import dataclass

from tasks.judge.report.formats import data_uri
from tasks.judge.report.inputs import ReportInputs
from tasks.store.records.dataset import NO_OBJECT, action_name
from tasks.store.records.metrics import Mistake


@dataclass(frozen=True)
class MapPicture:
    """A class activation map: its caption, and its picture as a data URI."""

    caption: str
    picture: str


@dataclass(frozen=True)
class MistakeCard:
    """One mistake; `sheet`, `video` and `spectrogram` are data URIs, empty if missing.

    `hears` says that the network hears; then there was nothing to hear in a clip without a spectrogram.

    `words` holds the predicted verb and noun, each with whether it is right; only the verb if truth and prediction have no object.
    """

    found: Mistake
    true: str
    predicted: str
    words: tuple[tuple[str, bool], ...]
    opponent_words: tuple[tuple[str, bool], ...]
    sheet: str
    video: str
    maps: tuple[MapPicture, ...]
    spectrogram: str
    hears: bool


def mistake_cards(inputs: ReportInputs) -> tuple[MistakeCard, ...]:
    """Build a card per mistake, in the order of `metrics`, with the pictures it has."""
    return tuple(_card(mistake, inputs) for mistake in inputs.metrics.mistakes)


def _card(mistake: Mistake, inputs: ReportInputs) -> MistakeCard:
    sheet, clip, spectrogram = (found.get(mistake.uid) for found in (inputs.sheets, inputs.clips, inputs.spectrograms))
    return MistakeCard(
        found=mistake,
        true=action_name(mistake.true_verb, mistake.true_noun),
        predicted=action_name(mistake.predicted_verb, mistake.predicted_noun),
        words=_words(mistake, mistake.predicted_verb, mistake.predicted_noun),
        opponent_words=_words(mistake, mistake.opponent_verb, mistake.opponent_noun),
        sheet=data_uri(sheet, "image/jpeg") if sheet else "",
        video=data_uri(clip, "video/mp4") if clip else "",
        maps=tuple(
            MapPicture(f"{found.target} '{found.class_name}'", data_uri(png, "image/png"))
            for found, png in inputs.activations.get(mistake.uid, ())
        ),
        spectrogram=data_uri(spectrogram, "image/png") if spectrogram else "",
        hears=spectrogram is not None,
    )


def _words(mistake: Mistake, verb: str, noun: str) -> tuple[tuple[str, bool], ...]:
    of_verb, of_noun = (verb, verb == mistake.true_verb), (noun, noun == mistake.true_noun)
    return (of_verb,) if noun == mistake.true_noun == NO_OBJECT else (of_verb, of_noun)
