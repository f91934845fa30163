"""Simulates how often Retake's evidence is wrong, with its own functions: `python -m tests.simulations [--quick] [--write-docs]`."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from tests.bench.table import write_docs

DOCS = Path(__file__).resolve().parents[2] / "docs" / "evidence.md"
NAMES = "coverage when readers decisions looks seeds labels trainings epochs splits probabilities thresholds films shift"
PARTS = [import_module(f"tests.simulations.{name}") for name in NAMES.split()]
NUM_DRAWS, NUM_QUICK_DRAWS = 400, 10


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulations", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few draws: shows that everything runs, and measures nothing")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/evidence.md")
    arguments = parser.parse_args(argv)
    tables = []
    for part in PARTS:
        sys.stderr.write(f"simulating {part.__name__.rpartition('.')[2]}\n")
        tables += part.tables(NUM_QUICK_DRAWS if arguments.quick else NUM_DRAWS)
    text = "\n\n".join(table.markdown() for table in tables)
    sys.stdout.write(f"{text}\n")
    if arguments.write_docs:
        write_docs(DOCS, text, "evidence")
    return 0


if __name__ == "__main__":
    sys.exit(main())
