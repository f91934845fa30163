"""Follow the chain of runs in Airflow, and trigger runs that no asset starts."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TextIO, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tasks import errors
from tasks.errors import BadConfiguration, RetakeError, Unavailable
from tasks.local.airflow_api import AirflowApi, RunRef, Task
from tasks.local.choices import CHAIN, Choices
from tasks.wording import printable

T = TypeVar("T")

POLL_SECONDS = 1.0
_UNANSWERED_SECONDS = 60
_SUCCESSOR_SECONDS = 120
_TAIL_LINES = 20
EXIT_CODES = {kind.__name__: kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, RetakeError)}
_MAPPED_ROWS = 8
"""Mapped tasks with more instances are shown as one row."""
LINES = "\n\t"
_QUIET = frozenset({"waiting", "scheduled", "queued", "starting"})
_STYLES = {
    "success": "green",
    "failed": "bold red",
    "upstream_failed": "red",
    "running": "cyan",
    "skipped": "magenta",
    "up_for_retry": "yellow",
}


@dataclass(frozen=True)
class Row:
    """The state of one step; `index` and `label` identify a mapped instance."""

    dag_id: str
    step: str
    index: int
    label: str
    state: str
    seconds: float | None  # None before the start

    @property
    def name(self) -> str:
        """Join the step and its label."""
        return f"{self.step} [{self.label}]" if self.label else self.step


class PlainScreen:
    """Print state changes and log lines of the running step, with the elapsed time."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = time.monotonic()
        self._states: dict[tuple[str, str, int], str] = {}
        self._running_line = ""

    def say(self, text: str) -> None:
        """Print a line."""
        self._stream.write(f"{clock(time.monotonic() - self._begun)}  {printable(text, kept=LINES)}\n")
        self._stream.flush()

    def show(self, rows: Sequence[Row], running_line: str) -> None:
        """Print the changes since the last call."""
        for row in rows:
            key = (row.dag_id, row.step, row.index)
            if row.state != self._states.get(key) and row.state not in _QUIET:
                took = f" ({row.seconds:.1f} s)" if row.seconds is not None and row.state != "running" else ""
                self.say(f"{row.dag_id}  {row.name}: {row.state}{took}")
            self._states[key] = row.state
        if running_line and running_line != self._running_line:
            self.say(f"    {running_line}")
        self._running_line = running_line

    def close(self) -> None:
        """Do nothing: there is no live display."""


class LiveScreen:
    """Redraw a table at each change, below the lines that stay."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = time.monotonic()
        self._live: Live | None = None

    def say(self, text: str) -> None:
        """Print a line above the table."""
        line = f"[dim]{clock(time.monotonic() - self._begun)}[/dim]  {escape(printable(text, kept=LINES))}"
        self._console.print(line, highlight=False, soft_wrap=True)  # the terminal wraps: an address stays whole when it is copied

    def show(self, rows: Sequence[Row], running_line: str) -> None:
        """Redraw the table."""
        table = Table(box=None, pad_edge=False)
        for title in ("DAG", "step", "state"):
            table.add_column(title)
        table.add_column("seconds", justify="right")
        previous = ""
        for row in folded(rows):
            seconds = "" if row.seconds is None else f"{row.seconds:.1f}"
            state = Text(row.state, style=_STYLES.get(row.state.split()[0], "dim"))
            table.add_row("" if row.dag_id == previous else row.dag_id, Text(printable(row.name)), state, seconds)
            previous = row.dag_id
        foot = Text(f"{clock(time.monotonic() - self._begun)}  {printable(running_line)}", style="dim", no_wrap=True, overflow="ellipsis")
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(Group(table, foot), refresh=True)

    def close(self) -> None:
        """Stop drawing."""
        if self._live is not None:
            self._live.stop()
            self._live = None


Screen = PlainScreen | LiveScreen


def screen_for(stream: TextIO) -> Screen:
    """Choose a live table if `stream` is a terminal, else plain lines."""
    console = Console(file=stream)
    return LiveScreen(console) if console.is_terminal and not console.is_dumb_terminal else PlainScreen(stream)


def folded(rows: Sequence[Row]) -> list[Row]:
    """Fold more than eight mapped instances of a task into one row that counts states."""
    sizes = Counter((row.dag_id, row.step) for row in rows)
    shown: list[Row] = []
    for (dag_id, step), size in sizes.items():
        mine = [row for row in rows if (row.dag_id, row.step) == (dag_id, step)]
        if size <= _MAPPED_ROWS:
            shown += mine
            continue
        states = Counter(row.state for row in mine)
        first = next((s for s in ("failed", "running", "waiting") if s in states), mine[-1].state)
        counts = ", ".join(f"{n} {state}" for state, n in states.most_common())
        shown.append(Row(dag_id, step, -1, f"{size} times", f"{first} ({counts})", sum(row.seconds or 0 for row in mine)))
    return shown


def clock(seconds: float) -> str:
    """Format minutes and seconds, such as 2:05."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@dataclass(frozen=True)
class FollowedRun:
    """One run of the chain, with the last known state of its tasks."""

    ref: RunRef
    tasks: tuple[Task, ...]

    def first(self, step: str) -> Task | None:
        """Find the task of a step."""
        return next((task for task in self.tasks if task.step == step), None)

    @property
    def lacks_labels(self) -> bool:
        """Check whether the run built no dataset because no clip has a label."""
        split = self.first("split")
        return split is not None and split.state == "skipped"


class StepFailed(RetakeError):
    """A step failed; `code` is the exit code of the command."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def wait_for_dags(api: AirflowApi, seconds: float = 60) -> None:
    """Wait until Airflow has parsed every DAG of the chain, and unpause them.

    Raises:
        BadConfiguration: a DAG file fails to import.
        Unavailable: they do not appear in time.
    """
    deadline = time.monotonic() + seconds
    while missing := CHAIN.keys() - api.dag_ids():
        if problems := api.import_errors():
            raise BadConfiguration("Airflow cannot read " + "; ".join(f"{file}: {why}" for file, why in problems.items()))
        if time.monotonic() > deadline:
            raise Unavailable(f"Airflow has not read {', '.join(sorted(missing))} within {seconds:.0f} s; see `dag-processor` in its log")
        time.sleep(0.2)
    for dag_id in CHAIN:
        api.unpause(dag_id)


def follow_chain(api: AirflowApi, choices: Choices, screen: Screen) -> list[FollowedRun]:
    """Follow the chain from its first DAG to its end, or to one without labels.

    Raises:
        StepFailed: a step failed; the message has its error and the end of its log.
        Unavailable: Airflow no longer answers.
    """
    done: list[FollowedRun] = []
    for dag_id in CHAIN:
        ref = _next_run(api, choices, screen, done, dag_id)
        done.append(follow_run(api, ref, screen, done))
        if done[-1].lacks_labels:
            break
    return done


def follow_run(api: AirflowApi, ref: RunRef, screen: Screen, before: Sequence[FollowedRun]) -> FollowedRun:
    """Show one run until it ends.

    Raises:
        StepFailed: it failed.
        Unavailable: Airflow has not answered for a minute.
    """
    run, state = _shown_to_its_end(api, ref, screen, before)
    if state == "failed":
        raise _failure(api, run)
    return run


def shown(screen: Screen, work: Callable[[], object]) -> int:
    """Do `work`, show how it ends, and return the exit code."""
    try:
        work()
    except StepFailed as failure:
        screen.close()
        screen.say(str(failure))
        return failure.code
    finally:
        screen.close()
    return 0


def _next_run(api: AirflowApi, choices: Choices, screen: Screen, done: Sequence[FollowedRun], dag_id: str) -> RunRef:
    """Find the run that the last run's assets start, or trigger one, after earlier runs."""
    num_updated = _patiently(partial(api.num_asset_events, done[-1].ref)) if done else 0
    cause = done[-1].ref if num_updated else None
    if done and cause is None:
        # An earlier chain may have stopped after this DAG, or had other options.
        screen.say(f"{done[-1].ref.dag_id}: nothing new; triggering {dag_id}")
    deadline = time.monotonic() + _SUCCESSOR_SECONDS
    while time.monotonic() < deadline:
        caused = _patiently(partial(api.runs_caused_by, cause)) if cause else []
        if mine := next((run for run in caused or [] if run.dag_id == dag_id), None):
            return mine
        earlier = _patiently(lambda: api.active_runs(dag_id)) if caused is not None else []
        if earlier:
            screen.say(f"{dag_id} is busy with an earlier run, {earlier[0].run_id}; this run starts after it")
            _shown_to_its_end(api, earlier[0], screen, done)
        elif cause is None:
            return api.trigger(dag_id, choices.conf(dag_id))
        if earlier or caused is None:
            deadline = time.monotonic() + _SUCCESSOR_SECONDS
        time.sleep(POLL_SECONDS / 2)
    raise Unavailable(f"Airflow's scheduler has not started {dag_id} within {_SUCCESSOR_SECONDS} s")


def _shown_to_its_end(api: AirflowApi, ref: RunRef, screen: Screen, before: Sequence[FollowedRun]) -> tuple[FollowedRun, str]:
    earlier = [row for run in before for row in _rows(run)]
    announced: set[tuple[str, int, int]] = set()
    while True:
        state = _patiently(lambda: api.run_state(ref))
        run = FollowedRun(ref, tuple(_in_order(_patiently(lambda: api.tasks(ref)))))
        running = [task for task in run.tasks if task.state == "running"]
        lines = _patiently(partial(api.log_lines, ref, running[-1])) if running else []
        # The runner's command line is no progress.
        screen.show([*earlier, *_rows(run)], lines[-1] if lines and not lines[-1].startswith("python -m tasks ") else "")
        for task in run.tasks:
            key = (task.task_id, task.map_index, task.try_number)
            if task.state == "up_for_retry" and key not in announced:
                announced.add(key)
                screen.say(f"{task.step} failed and will be retried: {_last_word(api, ref, task)}")
            elif task.state == "awaiting_input" and key not in announced:
                announced.add(key)
                screen.say(f"{task.step} waits for your answer: {api.task_page(ref, task)}/required_actions")
        if state in ("success", "failed"):
            return run, state
        time.sleep(POLL_SECONDS)


def _patiently(ask: Callable[[], T]) -> T:
    """Retry for a minute: Airflow's API may be busy for some seconds."""
    deadline = time.monotonic() + _UNANSWERED_SECONDS
    while True:
        try:
            return ask()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def _in_order(tasks: list[Task]) -> list[Task]:
    """Sort tasks by their start, pending ones last, mapped ones together."""
    never = datetime.max.replace(tzinfo=UTC)
    starts: dict[str, datetime] = {}
    for task in tasks:
        starts[task.task_id] = min(starts.get(task.task_id, never), task.start_date or never)
    return sorted(tasks, key=lambda task: (starts[task.task_id], task.task_id, task.map_index))


def _rows(run: FollowedRun) -> list[Row]:
    return [
        Row(
            dag_id=run.ref.dag_id,
            step=task.step,
            index=task.map_index,
            label=(task.rendered_map_index or str(task.map_index)) if task.map_index >= 0 else "",
            state=_state(task),
            seconds=_seconds(task),
        )
        for task in run.tasks
    ]


def _state(task: Task) -> str:
    """Return Airflow's state, but `starting` for a mapped task whose name is not rendered yet."""
    if task.state == "running" and task.map_index >= 0 and task.rendered_map_index in (None, str(task.map_index)):
        return "starting"
    return task.state or "waiting"


def _seconds(task: Task) -> float | None:
    if task.start_date is None:
        return None
    return ((task.end_date or datetime.now(UTC)) - task.start_date).total_seconds()


def _last_word(api: AirflowApi, ref: RunRef, task: Task) -> str:
    """Return the step's last error line, else the last line of its log."""
    lines = api.log_lines(ref, task) or ["no log"]
    return next((line for line in reversed(lines) if line.split(":")[0] in EXIT_CODES), lines[-1])


def _failure(api: AirflowApi, run: FollowedRun) -> StepFailed:
    failed = [task for task in run.tasks if task.state == "failed"]
    if not failed:
        return StepFailed(f"{run.ref.dag_id} failed; see its run {run.ref.run_id} in Airflow", 1)
    task = failed[0]
    lines = api.log_lines(run.ref, task)
    error = _last_word(api, run.ref, task)
    others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    name = f"{run.ref.dag_id}, step {task.step}{others}"
    text = "\n".join(["", *(f"  | {line}" for line in lines[-_TAIL_LINES:])])
    return StepFailed(f"{name}: {error}{text}\n  Full log: {api.task_page(run.ref, task)}", EXIT_CODES.get(error.split(":")[0], 1))
