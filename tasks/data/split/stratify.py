"""Assign whole sources to splits, close to the target shares, with every action in train.

Iterative stratification after Sechidis, Tsoumakas and Vlahavas (2011), rarest action first, then local search by single moves and swaps.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import product

from tasks.store.records.dataset import NOTHING
from tasks.store.records.record import SPLITS, SplitName

SHARE_WEIGHT = 10.0
"""Weight of a split's size relative to its mix of actions."""
MAX_SWAPPED = 200
"""Sources up to which all pairs are tried as swaps; with more, single moves are good enough."""
MAX_PASSES = 20


def stratify(
    counts: Mapping[str, Mapping[str, int]], kept: Mapping[str, SplitName], shares: Mapping[SplitName, float], seed: int
) -> dict[str, SplitName]:
    """Assign the sources of `counts`, by source and action, that are not in `kept`.

    Every action of a new source is then in train, with one exception: if val would stay empty, it gets the new source that loses the fewest clips
    by the move. Val, and test if it has a share, stay empty if no source can be moved there. A split in which nothing happens counts as empty.
    """
    order = shuffled((source for source in counts if source not in kept), seed)
    table = _Table(counts, {source: kept[source] for source in counts if source in kept}, order, shares)
    for source in _cover(table):
        table.put(source, "train")
    num_sources = Counter(action for source in order for action in counts[source])
    rest = [source for source in order if source not in table.split]
    for source in sorted(rest, key=lambda s: (min(num_sources[action] for action in counts[s]), -table.size(s))):
        table.put(source, min(table.asked_for, key=lambda split: table.cost_of_adding(source, split)))
    for split in table.asked_for:
        if table.num_sources[split] == 0:
            _fill(table, split)
    _improve(table)
    if table.num_sources["val"] == 0:
        _hold_out(table)
    return table.split


def shuffled(sources: Iterable[str], seed: int) -> list[str]:
    """Shuffle sources by the seed."""
    return sorted(sources, key=lambda source: hash_share(source, seed))


def hash_share(source: str, seed: int) -> float:
    """Map a source's name evenly to a number from 0 to 1, whatever sources follow."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{source}".encode()).digest()) / 2**256


class _Table:
    """The assignment so far, and the cost of changing it."""

    def __init__(
        self,
        counts: Mapping[str, Mapping[str, int]],
        kept: Mapping[str, SplitName],
        new: list[str],
        shares: Mapping[SplitName, float],
    ) -> None:
        self.new = new
        self.split: dict[str, SplitName] = {}
        self.asked_for = [split for split in SPLITS if shares[split] > 0]
        self._shares = shares
        teachable = {action for source in counts if kept.get(source, "train") == "train" for action in counts[source]}
        self.counts = {s: {a: n for a, n in own.items() if a in teachable} for s, own in counts.items()}
        self._num_of_action = Counter[str]()
        for own in self.counts.values():
            self._num_of_action.update(own)
        self._num_clips = max(1, self._num_of_action.total())
        self.num_sources: Counter[SplitName] = Counter()
        self.num_train_sources: Counter[str] = Counter()
        self._clips: Counter[SplitName] = Counter()
        self._clips_of_action: defaultdict[SplitName, Counter[str]] = defaultdict(Counter)
        for source, split in kept.items():
            self.put(source, split)

    def size(self, source: str) -> int:
        return sum(self.counts[source].values())

    def shows_action(self, source: str) -> bool:
        return bool(self.counts[source].keys() - {NOTHING})

    def put(self, source: str, split: SplitName) -> None:
        if source in self.split:
            self._count(source, self.split[source], -1)
        self._count(source, split, 1)
        self.split[source] = split

    def _count(self, source: str, split: SplitName, sign: int) -> None:
        own = self.counts[source]
        self.num_sources[split] += sign if self.shows_action(source) else 0
        self._clips[split] += sign * self.size(source)
        for action, number in own.items():
            self._clips_of_action[split][action] += sign * number
            self.num_train_sources[action] += sign if split == "train" else 0

    def cost_of_adding(self, source: str, split: SplitName, sign: int = 1) -> float:
        """Compute the increase in squared distance to the target, over split size and actions."""
        share, size = self._shares[split], self.size(source)
        off = self._clips[split] - share * self._num_clips
        cost = SHARE_WEIGHT * size * (size + 2 * sign * off) / self._num_clips
        for action, number in self.counts[source].items():
            total = self._num_of_action[action]
            cost += number * (number + 2 * sign * (self._clips_of_action[split][action] - share * total)) / total
        return cost

    def cost_of_moving(self, source: str, split: SplitName) -> float:
        return self.cost_of_adding(source, self.split[source], -1) + self.cost_of_adding(source, split)

    def may_leave(self, source: str) -> bool:
        """Check that without the source train keeps every action, and its split is not empty."""
        split = self.split[source]
        if split == "train":
            return all(self.num_train_sources[action] > 1 for action in self.counts[source])
        return self.num_sources[split] > 1 or not self.shows_action(source)


def _cover(table: _Table) -> list[str]:
    """Choose few new sources that cover every action missing from the kept train sources."""
    sources_of = defaultdict(list)
    for source in table.new:
        for action in table.counts[source]:
            if table.num_train_sources[action] == 0:
                sources_of[action].append(source)
    uncovered = set(sources_of)
    chosen: list[str] = []
    for action in sorted(sources_of, key=lambda a: (len(sources_of[a]), a)):
        if action in uncovered:
            best = max(sources_of[action], key=lambda s: len(uncovered & table.counts[s].keys()))
            uncovered -= table.counts[best].keys()
            chosen.append(best)
    return chosen


def _fill(table: _Table, split: SplitName) -> None:
    """Move the best-fitting source to an empty split; val may take test's only one."""
    movable = [
        source
        for source in table.new
        if table.split[source] != split
        and table.shows_action(source)
        and (table.may_leave(source) or (split == "val" and table.split[source] == "test"))
    ]
    if movable:
        table.put(min(movable, key=lambda source: table.cost_of_moving(source, split)), split)


def _improve(table: _Table) -> None:
    for _ in range(MAX_PASSES):
        moved = [_try_move(table, source, split) for source, split in product(table.new, table.asked_for)]
        swapped = [_try_swap(table, a, b) for a, b in product(table.new, table.new)] if len(table.new) <= MAX_SWAPPED else []
        if not any(moved) and not any(swapped):
            return


def _try_move(table: _Table, source: str, split: SplitName) -> bool:
    if table.split[source] == split or not table.may_leave(source) or table.cost_of_moving(source, split) >= -1e-9:
        return False
    table.put(source, split)
    return True


def _try_swap(table: _Table, source: str, other: str) -> bool:
    """Swap two sources of different splits if that lowers the cost."""
    here, there = table.split[source], table.split[other]
    if SPLITS.index(here) >= SPLITS.index(there):
        return False
    filled = {split for split in (here, there) if table.num_sources[split]}
    cost = table.cost_of_moving(source, there)
    table.put(source, there)
    cost += table.cost_of_moving(other, here)
    table.put(other, here)
    keeps_all = all(table.num_train_sources[action] for action in table.counts[source]) and all(
        table.num_sources[split] for split in filled
    )
    if cost < -1e-9 and keeps_all:
        return True
    table.put(source, here)
    table.put(other, there)
    return False


def _hold_out(table: _Table) -> None:
    """Fill an empty val by the source that train misses least, if two actions stay."""

    def lost(source: str) -> list[str]:
        return [action for action in table.counts[source] if table.num_train_sources[action] == 1]

    num_train_actions = sum(1 for number in table.num_train_sources.values() if number)
    movable = [s for s in table.new if table.counts[s].keys() - lost(s) - {NOTHING} and num_train_actions - len(lost(s)) > 1]
    if movable:
        fewest = min(movable, key=lambda s: (sum(table.counts[s][a] for a in lost(s)), table.cost_of_moving(s, "val")))
        table.put(fewest, "val")
