"""The logic of the page's scripts, in Node."""

from pathlib import Path

from tests.node import run_node_tests


def test_the_scripts_of_the_page():
    run_node_tests(Path(__file__).with_name("node"))
