"""Say in one sentence where the loop stands, and list the next steps.

One table of rules gives the steps. They are steps of a store: on the page Retake, in `status` and in notices. The steps of one run's report
are in `tasks/report_next_steps.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import quote

from tasks.disk import LEAST_FREE
from tasks.loop.page_answers import PageAnswers
from tasks.report_next_steps import NextStep
from tasks.settings import LABEL_PATH, LOOP_PATH, QUIET_DAYS, form_path
from tasks.store.records.status import LoopStatus, ModelStatus, VersionStatus, WeakClass
from tasks.wording import count, count_with_verb, listed, minus, percent, quoted

BUSY_WITH_LABELS = ("ingest_videos", "build_dataset")


@dataclass(frozen=True)
class Approval:
    """A question that waits for a person.

    Times are UTC as `now_utc` writes them. Addresses are paths of Airflow.
    """

    subject: str
    url: str
    since: str


@dataclass(frozen=True)
class ActiveRun:
    """A DAG run that goes on or waits."""

    dag_id: str
    run_id: str
    state: Literal["running", "queued"]
    since: str
    started_by: str  # empty for a schedule or an asset
    waits_for: str
    url: str


@dataclass(frozen=True)
class ScheduledRun:
    """The next scheduled run of a DAG."""

    dag_id: str
    at: str


@dataclass(frozen=True)
class Live:
    """The facts that are known at the moment.

    A fact that is None is unknown, and a rule about it says nothing. `import_errors` are the DAG files that Airflow cannot import. `has_videos`
    says whether the store has any video, summed up or not. Without `answers` of the page Label, none came since labels were last gathered.
    """

    now: str | None = None
    approvals: tuple[Approval, ...] | None = None
    runs: tuple[ActiveRun, ...] | None = None
    scheduled: tuple[ScheduledRun, ...] | None = None
    import_errors: tuple[str, ...] | None = None
    answers: PageAnswers = field(default_factory=PageAnswers)
    disk_free_share: float | None = None
    has_videos: bool | None = None


@dataclass(frozen=True)
class Situation:
    """Hold what the rules read."""

    status: LoopStatus
    live: Live

    @property
    def knows_nothing(self) -> bool:
        """Check whether no step has told anything of the store."""
        return not any((self.status.films, self.status.labels, self.status.dataset, self.status.model))

    @property
    def num_new_labels(self) -> int:
        """Count the labels of the page Label that no dataset has yet."""
        return self.live.answers.num_labels if self.status.labels else 0

    @property
    def num_merges(self) -> int:
        """Count the merges of names that no dataset has yet."""
        return self.live.answers.num_merges if self.status.labels else 0

    @property
    def num_unlabelled(self) -> int:
        """Count the clips without a label, except those that a person is unsure of."""
        labels = self.status.labels
        return max(0, labels.num_clips - labels.num_labelled - labels.num_unsure - self.live.answers.num_clips) if labels else 0

    @property
    def num_chosen(self) -> int:
        """Count the clips that the latest prediction chose, at most those still without a label."""
        latest = next(iter(self.status.predictions.predictions), None) if self.status.predictions else None
        if latest is None:
            return 0
        labels, number = self.status.labels, max(0, latest.num_to_label - self.live.answers.num_chosen)
        return number if labels is None or labels.at < latest.at else min(number, self.num_unlabelled)

    @property
    def days_quiet(self) -> int:
        """Count the days since a new video came; 0 if that is unknown."""
        since = self.status.films.new_at if self.status.films else None
        before, now = _time(since), _time(self.live.now)
        return max(0, (now - before) // timedelta(days=1)) if before and now else 0

    @property
    def free_share(self) -> float:
        """Return the free share of the disk; 1 if it is not known."""
        return 1.0 if self.live.disk_free_share is None else self.live.disk_free_share

    @property
    def is_quiet(self) -> bool:
        """Check whether no new video came for long."""
        return self.days_quiet >= QUIET_DAYS

    @property
    def is_nearly_full(self) -> bool:
        """Check whether a training or an ingest may not end for want of space."""
        return self.free_share < LEAST_FREE

    @property
    def is_untrained(self) -> bool:
        """Check whether no training was planned on the latest dataset."""
        dataset, training = self.status.dataset, self.status.training
        return dataset is not None and (training is None or training.dataset != dataset.digest)

    @property
    def weak_classes(self) -> list[WeakClass]:
        """List the champion's worst actions, with more than one clip wrong."""
        return [weak for weak in self.status.model.weak_classes if weak.num_clips - weak.num_right > 1] if self.status.model else []

    @property
    def num_doubtful(self) -> int:
        """Count the doubtful labels that no answer on the page Label has settled."""
        model = self.status.model
        if model is None or model.doubtful is None:  # an older summary has the number of the report alone
            return model.num_doubtful if model else 0
        return max(0, len(model.doubtful) - self.live.answers.num_settled)

    @property
    def champion(self) -> int | None:
        """Return the champion's version."""
        return self.status.model.champion if self.status.model else None

    @property
    def first_training(self) -> ActiveRun | None:
        """Return the run of retrain that goes on or waits while there is no champion."""
        return next((run for run in self.live.runs or () if run.dag_id == "retrain"), None) if self.champion is None else None

    def is_active(self, *dags: str) -> bool:
        """Check whether a run of one of these DAGs goes on or waits."""
        return any(run.dag_id in dags for run in self.live.runs or ())

    def form(self, dag: str, **conf: str) -> str:
        """Make the path of the form that starts a DAG on this store."""
        return form_path(dag, {"store": self.status.store, **{name: value for name, value in conf.items() if value}})

    @property
    def label_page(self) -> str:
        """Make the path of the labelling page of this store."""
        return f"{LABEL_PATH}?store={quote(self.status.store, safe=':/')}"


@dataclass(frozen=True)
class Rule:
    """A thing to do: when, in which words, and its path in Airflow."""

    holds: Callable[[Situation], object]
    text: Callable[[Situation], str]
    path: Callable[[Situation], str]


def _approvals(here: Situation) -> str:
    first, *others = here.live.approvals or ()
    return f"Answer the question: {first.subject}" + (f" ({len(others):,} more)" if others else "")


def _set_aside(here: Situation) -> str:
    assert here.status.films is not None  # noqa: S101 - by the condition of the rule
    first = [f": {bad.name}: {bad.reason}" for bad in here.status.films.first_set_aside[:1]]
    number = here.status.films.num_set_aside
    return f"See why {count_with_verb(number, 'file', 'was', 'were')} set aside{''.join(first)}"


def _build(here: Situation) -> str:
    new = [count(number, noun) for number, noun in ((here.num_new_labels, "new label"), (here.num_merges, "merged name")) if number]
    return f"Build a dataset: {listed(new)} on the page Label"


def _label(here: Situation) -> str:
    model = here.status.model
    clips = (
        f"{count(here.num_chosen, 'clip')} that the latest prediction chose"
        if here.num_chosen
        else f"{count(here.num_unlabelled, 'clip')} without a label{', or some of them' if here.num_unlabelled > 1 else ''}"
    )
    if model is None or model.expected_gain is None or model.gain_interval is None or model.gain_clips is None:
        return f"Label the {clips}"
    low, high = model.gain_interval
    gain = minus(f"{model.expected_gain:+.1f} points [{low:.1f}, {high:.1f}]")
    return f"Label the {clips}; expected gain of {count(model.gain_clips, 'more label')}: {gain}"


def _weak(here: Situation) -> str:
    named = [f"{quoted(weak.name)} ({weak.num_right} of {weak.num_clips} right)" for weak in here.weak_classes]
    return f"Bring videos of {listed(named)}"


def _wait(here: Situation) -> str:
    run = here.first_training
    assert run is not None  # noqa: S101 - by the condition of the rule
    return f"Wait for the training: retrain {'waits for ' + run.waits_for if run.waits_for else 'is ' + run.state}"


RULES = (
    Rule(lambda here: here.live.approvals, _approvals, lambda here: here.live.approvals[0].url if here.live.approvals else ""),
    Rule(
        lambda here: here.live.import_errors,
        lambda here: f"Mend what Airflow cannot import: {listed(list(here.live.import_errors or ()))}",
        lambda _: "",
    ),
    Rule(
        lambda here: here.is_nearly_full,
        lambda here: f"Make room: only {percent(here.free_share)} of the disk is free",
        lambda here: here.form("clean_up"),
    ),
    Rule(
        lambda here: here.knows_nothing and not here.live.has_videos,
        lambda here: (
            f"Begin{', unless an earlier version filled the store' if here.live.has_videos is None else ''}: "
            f"put videos into {here.status.store}/inbox/, or name a folder in the form"
        ),
        lambda here: here.form("ingest_videos"),
    ),
    Rule(
        lambda here: here.num_doubtful,
        lambda here: f"Mend {count(here.num_doubtful, 'doubtful label')}",
        lambda here: f"{here.label_page}#show=suspicious",
    ),
    Rule(lambda here: here.num_chosen or here.num_unlabelled, _label, lambda here: here.label_page),
    Rule(
        lambda here: (here.num_new_labels or here.num_merges) and not here.is_active(*BUSY_WITH_LABELS),
        _build,
        lambda here: here.form("build_dataset"),
    ),
    Rule(
        lambda here: here.is_untrained and not here.is_active("retrain"),
        lambda _: "Train: no training on the latest dataset is known",
        lambda here: here.form("retrain", model_name=here.status.model_name),
    ),
    Rule(
        lambda here: here.first_training,
        _wait,
        lambda here: here.first_training.url if here.first_training else "",
    ),
    Rule(lambda here: here.status.films and here.status.films.num_set_aside, _set_aside, lambda _: f"{LOOP_PATH}#films"),
    Rule(lambda here: here.weak_classes, _weak, lambda _: f"{LOOP_PATH}#weak"),
    Rule(
        lambda here: here.is_quiet,
        lambda here: f"See whether videos still arrive: nothing new has come for {count(here.days_quiet, 'day')}",
        lambda here: here.form("ingest_videos"),
    ),
    Rule(
        lambda here: here.champion is not None,
        lambda here: f"Predict videos that champion v{here.champion} was not trained on",
        lambda here: here.form("predict_videos", model=f"models:/{here.status.model_name}@champion"),
    ),
    Rule(
        lambda here: here.champion is None and not here.first_training and (not here.knows_nothing or here.live.has_videos),
        lambda _: "Bring more videos, of several recordings for each action",
        lambda here: here.form("ingest_videos"),
    ),
)
"""The most important first. One always holds: that of an empty store, of its first training, or one of the last two."""


def next_steps(status: LoopStatus, live: Live, link: Callable[[str], str]) -> list[NextStep]:
    """List the next steps, the most important first; `link` makes addresses of paths in Airflow."""
    here = Situation(status, live)
    steps = [(rule.text(here), rule.path(here)) for rule in RULES if rule.holds(here)]
    return [NextStep(text if text.endswith((".", "?", "!")) else f"{text}.", link(path) if path else "") for text, path in steps]


def sentence(status: LoopStatus, now: str | None = None) -> str:
    """Say in one sentence where the loop stands, with times as `moment` writes them."""
    videos, labels, dataset, model = status.films, status.labels, status.dataset, status.model
    if model is not None:
        return _of_model(model, now)
    if dataset is not None:
        splits = ", ".join(f"{split.split} {split.num_clips:,}" for split in dataset.splits)
        return f"Dataset {dataset.digest} has {splits} clips; no decision on a network is known yet."
    if labels is not None:
        return f"{count_with_verb(labels.num_labelled, 'clip', of=labels.num_clips)} labelled; there is no dataset yet."
    if videos is not None:
        return f"{count(videos.num_videos, 'video')} came in; no clip has been looked at for labels yet."
    return f"Nothing is known of {status.store} yet: it is empty, or an earlier version filled it, and each part appears with its next run."


def _of_model(model: ModelStatus, now: str | None) -> str:
    if model.champion is None:
        last = next(iter(model.versions), None)
        return (
            f"There is no champion yet; {f'v{last.version} {score_in_words(last, model)}' if last else 'no version has been decided on'}."
        )
    version = next((version for version in model.versions if version.version == model.champion), None)
    score = score_in_words(version, model) if version else "has no scores here: it was decided on before the history began"
    provisional = "; provisional" if model.provisional else ""
    since = f"; since {moment(model.champion_since, now)} UTC" if model.champion_since else ""
    return f"Champion v{model.champion} {score}{provisional}{since}."


def score_in_words(version: VersionStatus, model: ModelStatus) -> str:
    """Say how many actions a version names, on today's clips if it was scored there."""
    if version.top1_now is None or version.interval_now is None:
        return f"named {_score(version.top1, version.interval)} on the {count(version.num_clips, 'clip')} of its decision"
    num_clips = next((other.num_clips for other in model.versions if other.dataset == model.now_dataset), None)
    clips = "" if num_clips is None else f" on {count(num_clips - version.num_left_out, 'clip')}"
    return f"names {_score(version.top1_now, version.interval_now)}{clips}"


def moment(at: str, now: str | None = None) -> str:
    """Shorten a time in UTC to minutes, on the day of `now` without the date."""
    return at[11:16] if now and at[:10] == now[:10] else at[:16].replace("T", " ")


def _score(top1: float, interval: tuple[float, float]) -> str:
    return f"{top1:.0f} % of actions [{interval[0]:.0f}, {interval[1]:.0f}]"


def _time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return time if time and time.tzinfo else None
