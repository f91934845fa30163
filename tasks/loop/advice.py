"""Say in a sentence where a loop stands, and list the next steps. STUB."""

from collections.abc import Callable

from tasks.loop.live import Live
from tasks.next_steps import NextStep
from tasks.store.records.status import LoopStatus

__all__ = ["NextStep", "next_steps", "sentence"]


def sentence(status: LoopStatus, now: str | None = None) -> str:
    """Say where the loop stands."""
    model = status.model
    if not model or not model.champion:
        return f"{status.store} has no champion yet."
    last = next(version for version in model.versions if version.version == model.champion)
    low, high = last.interval
    return f"Champion v{model.champion} names {last.top1:.0f} % of actions [{low:.0f}, {high:.0f}] on {last.num_clips} clips."


def next_steps(status: LoopStatus, live: Live, link: Callable[[str], str]) -> list[NextStep]:
    """List the next steps, the most important first."""
    steps = [NextStep(f"Answer: {approval.subject}", link(approval.url)) for approval in live.approvals or ()]
    if status.films and status.films.num_set_aside:
        steps.append(NextStep(f"See why {status.films.num_set_aside} files were set aside.", link("/retake/#films")))
    return [*steps, NextStep("Label clips.", link(f"/retake/label/?store={status.store}"))]
