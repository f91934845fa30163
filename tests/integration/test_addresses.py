"""Where the three DAGs leave their results, seen from outside: addresses that people and MLflow's records know stay as they are."""

import re
from pathlib import Path

import pytest

from tests.integration.conftest import CHAIN_STORE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

GOLDEN = Path(__file__).parent / "addresses.txt"
PLACEHOLDERS = {
    r"[0-9a-f]{64}": "<sha256>",
    r"[0-9a-f]{12}_[0-9]{9}-[0-9]{9}-(verb|noun)": "<clip>-<target>",
    r"[0-9a-f]{16}": "<key>",
    r"-[0-9a-f]{8}\.csv": "-<hash>.csv",
}


def in_general(address: str) -> str:
    """An address without the hashes of this run."""
    for pattern, name in PLACEHOLDERS.items():
        address = re.sub(pattern, name, address)
    return address


def test_a_whole_run_leaves_its_results_at_the_known_addresses(chain):
    addresses = {in_general(address.removeprefix(f"{CHAIN_STORE}/")) for address in chain.listing}
    assert sorted(addresses) == GOLDEN.read_text().splitlines()
