"""The ledger of looks, and what decisions may spend, on a store in memory."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.judge.gate import error_budget
from tasks.judge.gate.error_budget import MIN_CHARGE, left_to_spend, offered, record_look, shared_clips, spend, weights_of
from tasks.options import GateOptions
from tasks.store.records.decisions import DecisionRecord
from tasks.store.records.training import Repeat
from tests.pipeline.shelf import Shelf, plan_result
from tests.records import some

STORE = "s3://retake"
START = datetime(2026, 1, 1, tzinfo=UTC)
CLIPS = [f"clip {number}" for number in range(20)]


class Kitchen:
    """A store whose networks are looked at and decided on, on days that a test sets."""

    def __init__(self, monkeypatch, store=None):
        self.store, self.day = store or Shelf(), 0.0
        monkeypatch.setattr(error_budget, "now_utc", self.now)

    def now(self):
        return (START + timedelta(days=self.day)).isoformat()

    def look(self, *networks, clips=CLIPS, kind="comparison"):
        record_look(self.store, STORE, kind, clips, networks, made_by="a form", model_name="m", split="val")

    def spend(self, run_key, *, model_name="m", again="", can_pass=True, clips=CLIPS, repeats=(), **gate):
        placed = {"run_key": run_key, "decision_uri": f"{STORE}/runs/{run_key}/decisions/{model_name}{again}/", "model_name": model_name}
        further = tuple(some(Repeat, run_key=repeat) for repeat in repeats)
        plan = plan_result(**placed, gate=GateOptions(**gate), repeats=further)
        # As `evaluate` does before.
        self.look(*plan.run_keys, clips=clips, kind="decision")
        return spend(self.store, STORE, plan, frozenset(clips), can_pass=can_pass)

    def decided_before(self, run_key, **changes):
        record = {"time": self.now(), "model_name": "m", "event": "kept", "run_key": run_key} | changes
        self.store.write(f"{STORE}/decisions/{run_key}.json", some(DecisionRecord, **record))


@pytest.fixture
def kitchen(monkeypatch):
    return Kitchen(monkeypatch)


@pytest.mark.parametrize(
    ("seen", "weight"),
    [(["abcd"], 1), (["ab"], 0.5**0.5), (["ab", "bc"], 0.75**0.5), (["abcdefgh"], 1), (["xy"], 0)],
    ids=["all", "half", "two looks", "and others", "none"],
)
def test_a_network_counts_by_the_square_root_of_the_share_that_it_was_seen_on(seen, weight):
    deciding = frozenset("abcd")
    assert weights_of([(shared_clips(deciding, clips), ["n"]) for clips in seen], 4) == {"n": pytest.approx(weight)}


@pytest.mark.parametrize(
    ("seen", "num_shared"),
    [("film_000-004 film_008-012", 2), ("film_015-017", 1), ("film_016-024", 0), ("other_000-004", 0), ("clip", 1)],
    ids=["shorter", "across the end", "after", "another film", "a name"],
)
def test_a_film_that_is_cut_otherwise_shows_the_same_clips(seen, num_shared):
    assert len(shared_clips(frozenset({"film_000-008", "film_008-016", "clip"}), seen.split())) == num_shared


@settings(max_examples=100)
@given(st.lists(st.floats(0, 200), min_size=1, max_size=80), st.floats(0.001, 1))
def test_no_365_days_spend_more_than_the_total(waits, total):
    charges, now = [], START
    for wait in waits:
        now += timedelta(days=wait)
        charges.append((now.isoformat(), offered(left_to_spend(charges, now.isoformat(), total))))
    for first, _ in charges:
        last = datetime.fromisoformat(first) + timedelta(days=365)
        assert sum(charge for time, charge in charges if first <= time <= last.isoformat()) <= total + 1e-9


def test_the_first_decision_has_the_level_of_a_95_per_cent_interval_and_later_ones_less(kitchen):
    levels = [kitchen.spend(run_key).level for run_key in "abc"]
    assert levels == pytest.approx([0.025, 0.0125, 0.00625])
    kitchen.day = 365
    assert kitchen.spend("d").level == pytest.approx(0.025)


def test_a_retry_spends_once_and_of_two_decisions_the_later_sees_the_earlier(monkeypatch):
    class Racing(Shelf):
        """A store in which another decision takes the number that this one is about to write."""

        is_late = False

        def create_bytes(self, uri, data):
            if "/charges/" in uri and not self.is_late:
                self.is_late = True
                kitchen.spend("other")
            return super().create_bytes(uri, data)

    kitchen = Kitchen(monkeypatch, Racing())
    assert kitchen.spend("a").charge == pytest.approx(0.0125)
    kitchen.day = 100
    assert kitchen.spend("a") == kitchen.spend("a")
    assert kitchen.spend("a").spent == pytest.approx(0.0375)


def test_networks_that_were_seen_and_not_decided_on_under_this_name_share_the_level(kitchen):
    kitchen.look(*"abcdefgh", "i", "j")
    kitchen.look("k", clips=CLIPS[:5])
    kitchen.look("l", clips=["another film"])
    first = kitchen.spend("a")
    assert (first.num_others, first.num_networks, first.level) == (10, 10.5, pytest.approx(0.025 / 10.5))
    kitchen.spend("c", model_name="another")
    second = kitchen.spend("b")
    assert (second.num_networks, second.num_decided) == (9.5, 1)
    assert kitchen.spend("a", again="again").num_networks == 10.5


def test_the_seeds_of_a_recipe_are_one_network_and_paid_for_together_until_one_is_decided_on_by_itself(kitchen):
    assert kitchen.spend("a", repeats="bc").num_networks == 1
    other = kitchen.spend("d")
    assert (other.num_networks, other.num_decided) == (1, 3)
    assert kitchen.spend("b", again="alone").num_networks == 4


def test_a_decision_that_cannot_pass_spends_nothing_and_its_network_stays_among_those_to_choose_from(kitchen):
    blocked = kitchen.spend("a", can_pass=False)
    assert (blocked.is_spent, blocked.spent) == (False, 0)
    after = kitchen.spend("b")
    assert (after.num_networks, after.charge, after.spent) == (2, 0.025, 0.025)


def test_a_network_that_was_decided_on_other_clips_is_among_those_to_choose_from(kitchen):
    kitchen.spend("a", clips=["another film"])
    kitchen.look("a")
    assert kitchen.spend("b").num_networks == 2


def test_the_next_charge_follows_the_last_although_one_is_gone(kitchen):
    kitchen.spend("a")
    kitchen.spend("b")
    first = f"{STORE}/charges/m/000001.json"
    kitchen.store.remove(first)
    assert kitchen.spend("c").is_spent
    assert not kitchen.store.exists(first)


def test_versions_scored_again_for_a_history_count_only_for_a_further_decision_on_one_of_them(kitchen):
    for version in ("old", "older"):
        kitchen.look(version, kind="history")
    assert kitchen.spend("new").num_networks == 1
    assert kitchen.spend("old", again="2").num_others >= 1


def test_decisions_of_older_versions_count_as_a_95_per_cent_interval(kitchen):
    kitchen.decided_before("old")
    kitchen.decided_before("back", event="rolled back")
    kitchen.decided_before("foreign", model_name="another")
    kitchen.decided_before("new", charge=0.0, num_networks=1.0)
    kitchen.look("old")
    attempt = kitchen.spend("a")
    assert (attempt.num_networks, attempt.charge, attempt.spent) == (1, pytest.approx(0.0125), pytest.approx(0.0375))


def test_where_too_little_is_left_nothing_is_spent_and_the_day_is_named(kitchen, monkeypatch):
    numbers = iter(range(100))
    while not (attempt := kitchen.spend(str(next(numbers)))).obstacle:
        assert attempt.charge >= MIN_CHARGE
    assert not attempt.is_spent
    day = datetime.fromisoformat(attempt.obstacle.partition("by ")[2][:10]).replace(tzinfo=UTC)
    kitchen.day = (day - START).days
    assert kitchen.spend("too early").obstacle
    kitchen.day += 1
    assert not kitchen.spend("then").obstacle
    for number in range(5):
        kitchen.decided_before(f"old {number}")
    after = kitchen.spend("after them")
    assert (bool(after.obstacle), after.level) == (True, pytest.approx(0.025)), "the gain is shown as usual"
    assert not Kitchen(monkeypatch).spend("at the least", yearly_error=0.002).obstacle


def test_few_clips_cannot_show_a_gain_after_many_looks(kitchen):
    kitchen.look(*map(str, range(100)), clips=CLIPS[:10])
    assert "add videos" in kitchen.spend("0", clips=CLIPS[:10]).obstacle
    assert not kitchen.spend("0", clips=CLIPS[:5], can_pass=False).obstacle, "the rule of the number of clips speaks of these"


def test_a_thousand_looks_at_the_same_clips_store_their_names_once(kitchen):
    clips = [f"{number:040d}" for number in range(200)]
    kitchen.look("first", clips=clips)
    size = sum(map(len, kitchen.store.objects.values()))
    for number in range(1000):
        kitchen.look(f"{number:016d}", clips=clips)
    written = dict(kitchen.store.objects)
    kitchen.day = 1
    kitchen.look("0" * 16, clips=reversed(clips))
    assert kitchen.store.objects == written
    assert sum(map(len, written.values())) - size < 300_000
