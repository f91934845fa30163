"""Steps in this process, on a store in memory."""

from importlib import import_module

from tasks.contracts.commands import COMMANDS
from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tests.steps.shelf import Dated

STORE = "s3://retake"
RECIPE = recipe_of(SegmentOptions())
LABELS = f"{STORE}/labels/{RECIPE}/"


class Bench:
    """A store, and the steps that work on it."""

    def __init__(self, store=None):
        self.store = store or Dated()

    def run(self, step, **flags):
        command = COMMANDS[step]
        return import_module(command.full_module).run(command.arguments(**{"store": STORE, **flags}), self.store)

    def take(self, *sources, **options):
        """Ingest; without sources, as the hourly run does."""
        return self.run("ingest", sources=[str(source) for source in sources], out=f"{STORE}/ingests/test/", **options)

    def ingest(self, *sources):
        """Ingest and cut; return the summary."""
        for batch in self.take(*sources).batches:
            self.run("segment", batch=batch.uri)
        return self.run("summarise", ingest=f"{STORE}/ingests/test/")

    def split(self, **options):
        self.run("label")
        return self.run("split", labels=LABELS, **options)

    def build(self):
        """Make a dataset of cut clips."""
        self.split()
        return self.run("dataset", labels=LABELS)
