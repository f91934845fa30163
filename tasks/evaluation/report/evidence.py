"""The worst mistakes with their pictures, and whether probabilities can be believed."""

from dataclasses import dataclass

from tasks.evaluation.comparison import MODELS
from tasks.evaluation.report.charts import Chart, reliability_chart
from tasks.evaluation.report.formats import data_uri
from tasks.evaluation.report.inputs import ReportInputs
from tasks.evaluation.report.scores import deciding_results
from tasks.results.metrics import Metrics, Mistake
from tasks.results.record import TARGETS


@dataclass(frozen=True)
class MapPicture:
    """A class-activation map: what it is of, and its picture as a data address."""

    caption: str
    picture: str


@dataclass(frozen=True)
class MistakeCard:
    """One mistake; `sheet` and `video` are data addresses, empty where the page has none."""

    found: Mistake
    verb_is_right: bool
    noun_is_right: bool
    opponent_verb_is_right: bool
    opponent_noun_is_right: bool
    sheet: str
    video: str
    maps: tuple[MapPicture, ...]


def mistake_cards(inputs: ReportInputs) -> tuple[MistakeCard, ...]:
    """The mistakes in the order of `metrics`, each with what there is to see of it."""
    return tuple(_card(mistake, inputs) for mistake in inputs.metrics.mistakes)


def reliability_charts(metrics: Metrics) -> tuple[Chart, ...]:
    """A chart a target with every network of the deciding split; targets without bins are left out."""
    charts = []
    scored = {result.model for result in deciding_results(metrics)}
    for target in TARGETS:
        lines = [
            (role, c)
            for role in MODELS
            for c in metrics.calibration
            if (c.model, c.split, c.target) == (role, metrics.deciding_split, target) and role in scored and c.bins
        ]
        if lines:
            charts.append(reliability_chart(target, lines))
    return tuple(charts)


def _card(mistake: Mistake, inputs: ReportInputs) -> MistakeCard:
    sheet, clip = inputs.sheets.get(mistake.uid), inputs.clips.get(mistake.uid)
    return MistakeCard(
        found=mistake,
        verb_is_right=mistake.predicted_verb == mistake.true_verb,
        noun_is_right=mistake.predicted_noun == mistake.true_noun,
        opponent_verb_is_right=mistake.opponent_verb == mistake.true_verb,
        opponent_noun_is_right=mistake.opponent_noun == mistake.true_noun,
        sheet=data_uri(sheet, "image/jpeg") if sheet else "",
        video=data_uri(clip, "video/mp4") if clip else "",
        maps=tuple(
            MapPicture(f"{found.target} '{found.class_name}'", data_uri(png, "image/png"))
            for found, png in inputs.activations.get(mistake.uid, ())
        ),
    )
