"""Measures what docs/performance.md promises, side by side in one run: `python -m tests.bench [--quick] [--only NAME…]`."""

import argparse
import json
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from tests.bench import chain, cutting, flow, heads, item, memory, recipes, scoring, windows
from tests.bench.machine import in_words, machine
from tests.bench.measure import Row
from tests.bench.table import markdown, write_docs

DOCS = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BENCHES: dict[str, Callable[[Path, bool], list[Row]]] = {
    "scoring": scoring.scoring,
    "windows": windows.windows,
    "epoch": heads.epoch,
    "sweep": heads.sweep,
    "recipes": recipes.recipes,
    "item": item.item,
    "cut": cutting.cutting,
    "segment": cutting.segmenting,
    "flow": flow.flow,
    "memory": memory.memory,
    "chain": chain.chain,
}


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    warnings.filterwarnings("ignore")
    found = machine()
    rows: list[Row] = []
    for name in arguments.only or BENCHES:
        sys.stderr.write(f"measuring {name}\n")
        with tempfile.TemporaryDirectory(prefix=f"retake-bench-{name}-", dir=arguments.scratch) as folder:
            rows += BENCHES[name](Path(folder), arguments.quick)
    text = markdown(rows, in_words(found))
    sys.stdout.write(f"{text}\n")
    content = {"machine": found, "quick": arguments.quick, "rows": [row.as_json() for row in rows]}
    arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    if arguments.write_docs:
        write_docs(DOCS, text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and few: shows that everything runs, measures nothing")
    parser.add_argument("--only", nargs="+", choices=list(BENCHES), metavar="NAME", help=f"some of {', '.join(BENCHES)}")
    help_of_json = "file for every value, the machine and the versions; bench.json"
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help=help_of_json)
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--scratch", type=Path, help="folder on a disk with 5 GiB of room, in place of the system's temporary one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
