"""Steps in this process, on a store in memory."""

from importlib import import_module

from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tasks.pipeline.commands import COMMANDS
from tasks.store.records.decisions import Look
from tests.pipeline.shelf import Shelf

STORE = "s3://retake"
RECIPE = recipe_of(SegmentOptions())
LABELS = f"{STORE}/labels/{RECIPE}/"


class Bench:
    """A store, and the steps that work on it; videos are cut by the options given."""

    def __init__(self, store=None, **cutting):
        self.store, self.cutting = store or Shelf(), cutting
        self.labels = f"{STORE}/labels/{recipe_of(SegmentOptions(**cutting))}/"

    def run(self, step, **flags):
        command = COMMANDS[step]
        return import_module(command.full_module).run(command.arguments(**{"store": STORE, **flags}), self.store)

    def take(self, *sources, **options):
        """Ingest; without sources, as the hourly run does."""
        sources = [str(source) for source in sources]
        return self.run("ingest", sources=sources, out=f"{STORE}/ingests/test/", **self.cutting, **options)

    def ingest(self, *sources):
        """Ingest and cut; return the summary."""
        for batch in self.take(*sources).batches:
            self.run("segment", batch=batch.uri, **self.cutting)
        return self.run("summarise", ingest=f"{STORE}/ingests/test/", **self.cutting)

    def split(self, **options):
        self.run("label", **self.cutting)
        return self.run("split", labels=self.labels, **options)

    def looks(self):
        """Each scoring of networks on val or test that was counted."""
        return [self.store.read(uri, Look) for uri in self.store.objects if "/looks/" in uri and not uri.endswith("/clips.json")]

    def build(self):
        """Make a dataset of cut clips."""
        self.split()
        return self.run("dataset", labels=self.labels)
