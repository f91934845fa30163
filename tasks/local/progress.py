"""Show the progress of the chain: a live table on a terminal, plain lines elsewhere."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tasks.wording import printable

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
    """The state of one step. `index` and `label` identify mapped instances; `seconds` is None before the start."""

    dag_id: str
    step: str
    index: int
    label: str
    state: str
    seconds: float | None

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
        """Print a line above the table; the terminal wraps it, so that an address stays whole when it is copied."""
        line = f"[dim]{clock(time.monotonic() - self._begun)}[/dim]  {escape(printable(text, kept=LINES))}"
        self._console.print(line, highlight=False, soft_wrap=True)

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
