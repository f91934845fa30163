"""The form's scripts in Node, on a document of their own."""

from pathlib import Path

from tests.node import run_node_tests


def test_scripts():
    run_node_tests(Path(__file__).with_name("node"))
