"""Keep the looks at the deciding clips, and the yearly error that decisions spend.

A decision spends a charge. The gain must show at the charge divided by the number of networks that the new one may have been chosen from. If
that number was fixed beforehand and all were scored on all clips, the chance that the best of equally good networks passes is at most the
charge (a union bound). Whoever trains on until a network passes exceeds it (docs/evidence.md). A network that was scored on a part of the
deciding clips counts by the square root of that share, the correlation of its scores on the part and on all.

The charge that a decision spends pays for its networks: later decisions on these clips do not count them. The seeds of a recipe are decided
on by their mean, as one network. So the first decision, on 5 seeds, divides its charge by 1. If it spends the charge, the next decision, on
another network, divides by 1, too; if it spends nothing, the next one divides by 6.

Charges are spent by calendar time (Lan and DeMets 1983, Discrete sequential boundaries for clinical trials, Biometrika 70, 659), without
knowing the number of decisions: a bucket holds half of the year's total and is filled by the other half in a year, evenly. So no 365 days
spend more than the total.
"""

import math
import re
from collections.abc import Iterable, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Literal

from tasks.errors import Unavailable
from tasks.judge.gate.champion import NUM_TRIES, recorded_decision, recorded_decisions
from tasks.judge.statistics.uncertainty import TAIL
from tasks.keys import content_key
from tasks.store.layout import Layout, Looks
from tasks.store.objects import Store
from tasks.store.records.decisions import Attempt, Charge, Look, LookKind, SeenClips
from tasks.store.records.record import SplitName, now_utc
from tasks.store.records.training import PlanResult
from tasks.wording import count

SPAN = re.compile(r"(.+)_(\d+)-(\d+)")
"""A clip's uid: its video, and its interval in ms."""
YEAR = timedelta(days=365)
MIN_CHARGE = 0.0005
"""A decision at less than 1 in 2,000 would see only gains that need no gate, and keep the bucket empty; it waits instead."""
SPENT_BEFORE = TAIL
"""The charge of a decision of an older version, which recorded none and decided by the 95 % interval."""


def record_look(
    store: Store,
    store_uri: str,
    kind: LookKind,
    uids: Iterable[str],
    networks: Sequence[str],
    *,
    made_by: str,
    model_name: str,
    split: SplitName | Literal["unseen"],
    num_networks: int | None = None,
) -> None:
    """Write that these networks were scored on these clips; a retry finds it written.

    Args:
        networks: run keys of those that somebody could choose among.
        num_networks: of all that were scored; by default these.
    """
    clips = SeenClips(uids=tuple(sorted(set(uids))))
    look = Look(
        time=now_utc(),
        kind=kind,
        made_by=made_by,
        model_name=model_name,
        split=split,
        networks=tuple(networks),
        num_networks=len(networks) if num_networks is None else num_networks,
    )
    place = Layout(store_uri).looks_at(content_key(clips.model_dump()))
    store.create(place.clips, clips)
    store.create(place.look(content_key(look.model_dump(exclude={"time"}))), look)


def shared_clips(uids: frozenset[str], seen: Iterable[str]) -> frozenset[str]:
    """Select the deciding clips that were seen, in this or another cut.

    A clip that shares time of its video with a seen clip shows the same.
    """
    seen = frozenset(seen)
    spans: dict[str, list[tuple[int, int]]] = {}
    for match in filter(None, map(SPAN.fullmatch, seen)):
        spans.setdefault(match[1], []).append((int(match[2]), int(match[3])))

    def is_covered(uid: str) -> bool:
        match = SPAN.fullmatch(uid)
        return match is not None and any(start < int(match[3]) and int(match[2]) < stop for start, stop in spans.get(match[1], ()))

    return frozenset(uid for uid in uids if uid in seen or is_covered(uid))


def weights_of(looks: Iterable[tuple[frozenset[str], Iterable[str]]], num_clips: int) -> dict[str, float]:
    """Compute how much each network counts, by run key.

    Each of `looks` has the deciding clips that it saw, and its networks.
    """
    seen: dict[str, set[str]] = {}
    for shared, networks in looks:
        for network in networks:
            seen.setdefault(network, set()).update(shared)
    return {network: math.sqrt(len(shared) / num_clips) for network, shared in seen.items()}


def left_to_spend(charges: Iterable[tuple[str, float]], now: str, yearly_error: float) -> float:
    """Compute the error left after these charges, each with its time; the bucket begins full."""
    capacity = yearly_error / 2
    held, last = capacity, None
    for time, charge in sorted([*charges, (now, 0.0)]):
        then = datetime.fromisoformat(time)
        held = min(capacity, held + capacity * ((then - last) / YEAR if last else 0)) - charge
        held, last = max(0.0, held), then
    return held


def offered(held: float) -> float:
    """Return the next charge: half of the error left, at most `TAIL`."""
    return min(TAIL, held / 2)


def spend(store: Store, store_uri: str, plan: PlanResult, uids: frozenset[str], *, can_pass: bool) -> Attempt:
    """Count the looks at the deciding clips, and spend this decision's charge once.

    Args:
        uids: the deciding clips, which have an action.
        can_pass: whether a good score would promote the network; nothing is spent if not.

    Raises:
        Unavailable: other decisions keep spending.
    """
    layout = Layout(store_uri)
    weights, decided_here = _seen(store, layout, uids, frozenset(plan.run_keys))
    for run_key in plan.run_keys:
        weights.pop(run_key, None)
    own = recorded_decision(store, store_uri, plan.decision_uri)
    before = [
        decision
        for decision in recorded_decisions(store, store_uri)
        if decision.model_name == plan.model_name and decision.event != "rolled back" and decision.charge is None and decision != own
    ]
    for _ in range(NUM_TRIES):
        uris = sorted(listed.uri for listed in store.list(layout.charges(plan.model_name)))
        charges = [store.read(uri, Charge) for uri in uris]
        number = int(PurePosixPath(uris[-1]).stem) + 1 if uris else 1
        if mine := next((charge for charge in charges if charge.key == plan.decision_uri), None):
            return mine.attempt
        now = max([now_utc(), *(charge.time for charge in charges)])
        spent = [(decision.time, SPENT_BEFORE) for decision in before] + [(charge.time, charge.attempt.charge) for charge in charges]
        # Older decisions recorded neither charge nor look; we assume they saw these clips.
        paid = {decision.run_key for decision in before}
        paid |= decided_here.intersection(key for charge in charges for key in (charge.run_key, *charge.repeats))
        attempt = _attempt(spent, weights, paid, plan, now, num_clips=len(uids), can_pass=can_pass)
        charge = Charge(time=now, key=plan.decision_uri, run_key=plan.run_key, attempt=attempt, repeats=plan.run_keys[1:])
        if not attempt.is_spent or store.create(layout.charge(plan.model_name, number), charge):
            return attempt
    raise Unavailable(f"other decisions on {plan.model_name} keep spending its yearly error; try again")


def _seen(store: Store, layout: Layout, uids: frozenset[str], deciding: Set[str]) -> tuple[dict[str, float], set[str]]:
    """Read the weights of networks that saw some of these clips, and the decided ones."""
    looks: list[tuple[frozenset[str], Iterable[str]]] = []
    history: list[tuple[frozenset[str], Iterable[str]]] = []
    decided: set[str] = set()
    with ThreadPoolExecutor(16) as readers:
        for folder in store.folders(layout.all_looks):
            place = Looks(folder)
            if shared := shared_clips(uids, store.read(place.clips).uids):
                uris = [stored.uri for stored in store.list(folder) if stored.uri != place.clips.uri]
                for look in readers.map(lambda uri: store.read(uri, Look), uris):
                    (history if look.kind == "history" else looks).append((shared, look.networks))
                    decided.update(look.networks if look.kind == "decision" else ())
    # A history scores old versions. A new network was not chosen from them; one that is decided on again may have been.
    if any(not deciding.isdisjoint(networks) for _, networks in history):
        looks += history
    return weights_of(looks, len(uids)), decided


def _attempt(
    spent: Sequence[tuple[str, float]],
    weights: dict[str, float],
    paid: Set[str],
    plan: PlanResult,
    now: str,
    *,
    num_clips: int,
    can_pass: bool,
) -> Attempt:
    """Compute this decision's charge after those in `spent`, each with its time.

    The networks in `paid` have spent a charge on these clips.
    """
    # A network decided on again was chosen among all, so the paid ones count again.
    others = {network: weight for network, weight in weights.items() if plan.run_key in paid or network not in paid}
    total = plan.gate.yearly_error
    held = left_to_spend(spent, now, total)
    num_networks, charge = 1 + sum(others.values()), offered(held)
    a_year_ago = datetime.fromisoformat(now) - YEAR
    obstacle = ""
    if charge < MIN_CHARGE:
        # The bucket must hold twice the charge of a decision.
        then = datetime.fromisoformat(now) + YEAR * ((2 * MIN_CHARGE - held) / (total / 2))
        obstacle = f"earlier decisions have spent it: enough comes back by {then:%Y-%m-%d}, or raise yearly_error"
        # Nothing is decided, so the gain is shown as usual.
        num_networks, charge = 1, TAIL
    elif num_clips >= plan.gate.min_gate_clips and 0.5**num_clips > charge / num_networks:
        obstacle = f"{count(num_clips, 'clip')} cannot show a gain at so strict a level: add videos"
    is_spent = can_pass and not obstacle
    in_a_year = sum(charge for time, charge in spent if datetime.fromisoformat(time) > a_year_ago)
    return Attempt(
        num_others=len(others),
        num_decided=len(weights) - len(others),
        num_networks=num_networks,
        charge=charge,
        is_spent=is_spent,
        spent=in_a_year + (charge if is_spent else 0),
        yearly_error=total,
        obstacle=obstacle,
    )
