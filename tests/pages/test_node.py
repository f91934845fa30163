"""The logic of the pages' scripts, in Node."""

from pathlib import Path

import pytest

from tests.node import run_node_tests


@pytest.mark.parametrize("page", ["home", pytest.param("label", marks=pytest.mark.slow), "trigger_form"])
def test_scripts(page):
    run_node_tests(Path(__file__).parent / page / "node")
