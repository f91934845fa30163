"""Run the steps of retrain in this process, on a shelf and with a book in place of MLflow."""

import warnings
from contextlib import contextmanager
from functools import partial
from importlib import import_module

import pytest

from tasks.contracts.commands import STEPS
from tasks.dataset.manifest import split_csv
from tasks.evaluation.scores_file import from_parquet
from tasks.options import TrainOptions
from tasks.results.evaluation import EvaluateResult, ReportResult
from tasks.steps.retrain import compare, evaluate, plan, register, report, train, weights
from tasks.store.layout import Dataset
from tests.steps.shelf import dataset_clip, manifest_of, words

ROOT = "s3://retake"
DATASET = f"{ROOT}/datasets/d/"
TINY = {
    "backbone": "test_resnet",
    "weights": "none",
    "num_segments": 2,
    "epochs": 1,
    "batch_size": 2,
    "learning_rate": 1e-3,
    "crops": 1,
    "engine": "pytorch",
    "bootstrap_resamples": 100,
}
"""A network that trains in a second."""


class Book:
    """What would be logged to MLflow, and a registry of one model, which is saved into a folder as MLflow would upload it."""

    def __init__(self, model=None):
        self.artifacts, self.metrics, self.tags, self.aliases = {}, {}, {}, {}
        self.model, self.card = model, None

    def run_url(self, run_id):
        return "http://mlflow/#/experiments/1/runs/r"

    def ensure_run(self, *_):
        return "r"

    @contextmanager
    def running(self, run_id):
        yield

    def log_metrics(self, run_id, metrics):
        self.metrics.update(metrics)

    def log_epochs(self, run_id, epochs):
        for epoch in epochs:
            self.metrics.update(epoch.model_dump(exclude_none=True))

    def set_tags(self, run_id, tags):
        self.tags.update(tags)

    def log_artifacts(self, run_id, folder, path=None):
        files = (file for file in sorted(folder.rglob("*")) if file.is_file())
        self.artifacts |= {"/".join(filter(None, (path, *file.relative_to(folder).parts))): file.read_bytes() for file in files}

    def log_params(self, *_): ...

    def log_dataset(self, *_, **__): ...

    def finish(self, run_id): ...

    def claim(self, model_name, store_uri): ...

    def champion(self, model_name): ...

    def register(self, model_name, store_uri, run_id, run_key, model, card):
        def saved(save, *arguments, name, **how):
            save(*arguments, path=self.model, **how)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's own, at its import
            flavours = import_module("mlflow.pytorch"), import_module("mlflow.pyfunc")
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*An input example was not provided")
            for flavour in flavours:
                patch.setattr(flavour, "log_model", partial(saved, flavour.save_model))
            model.log(card.requirements, card.metadata)
        self.card = card
        return 1

    def set_alias(self, model_name, alias, version):
        self.aliases[alias] = version


class Bench:
    """The steps of a training, one after another."""

    def __init__(self, shelf, book, films):
        self.shelf, self.book, self.films, self.plan = shelf, book, films, None

    def label(self, *labels, num_train=4, num_val=4):
        """Make a dataset of clips with these labels by turns: verb and its id, noun and its id. Each film is the source of two clips."""
        clips = []
        for number, cut in enumerate(self.shelf.clips("c" * 64, num_train + num_val)):
            self.shelf.write_bytes(cut.uri, self.films[number // 2 % len(self.films)])
            label = dict(zip(("verb", "verb_class", "noun", "noun_class"), labels[number % len(labels)], strict=True))
            seen = cut.model_dump(exclude={"index", "size_bytes", "has_audio"})
            split = "train" if number < num_train else "val"
            clips.append(dataset_clip(split=split, source=f"film {number // 2}", **seen, **label))
        verbs, nouns = ({label[1]: label[0] for label in labels}, {label[3]: label[2] for label in labels})
        manifest = manifest_of(clips, words(verbs, nouns))
        self.shelf.write(Dataset(DATASET).manifest, manifest)
        for split in ("train", "val"):
            self.shelf.write_bytes(Dataset(DATASET).table(split), split_csv(manifest, split))

    def run(self, step, **arguments):
        """Run a step as the command line does, by default on the latest plan."""
        taken = next(contract.arguments for contract in STEPS.values() if contract.full_module == step.__name__)
        if self.plan and "plan" in taken.model_fields:
            arguments = {"plan": f"{self.plan.decision_uri}plan/", **arguments}
        return step.run(taken(store=ROOT, **arguments), self.shelf)

    def decide(self, **options):
        """Plan what the form with these options leads to."""
        self.plan, options, out = None, TINY | options, f"{ROOT}/pretrained/choices/x/"
        self.run(weights, out=out, **{name: value for name, value in options.items() if name in TrainOptions.model_fields})
        self.plan = self.run(plan, weights_result=out, dataset=DATASET, **options)
        return self.plan

    def change(self, **changes):
        """Write another plan in the place of the latest."""
        self.plan = self.plan.model_copy(update=changes)
        self.shelf.write(f"{self.plan.decision_uri}plan/result.json", self.plan)

    def train(self):
        return self.run(train)

    def evaluate_trained(self):
        """Test the trained network alone, on val alone, and return its answers."""
        (val,) = (one for one in self.plan.evaluations if (one.model, one.split) == ("fine-tuned", "val"))
        self.change(evaluations=(val,))
        self.run(evaluate, model="fine-tuned")
        uri = self.shelf.read(f"{val.out}result.json", EvaluateResult).predictions_uri
        return from_parquet(self.shelf.read_bytes(uri), uri)

    def register(self):
        """Register the trained network as if its report had been written; `book.model` has the folder of the model."""
        card = f"{self.plan.decision_uri}report/README.md"
        self.shelf.write_bytes(card, b"---\ntags: [video]\n---\n\n# Card")
        urls = dict.fromkeys(("report_uri", "metrics_uri", "report_url", "mlflow_run_url", "question"), "")
        result = ReportResult(card_uri=card, awaits_approval=False, approval_hours=1, **urls)
        self.shelf.write(f"{self.plan.decision_uri}report/result.json", result)
        return self.run(register)

    def evaluate(self):
        """Test every network of the plan, and return the results by network and split."""
        for network in self.plan.networks:
            self.run(evaluate, model=network.model)
        return {(one.model, one.split): self.shelf.read(f"{one.out}result.json", EvaluateResult) for one in self.plan.evaluations}

    def report(self):
        """Compare what was tested, and return the results of comparison and report."""
        return self.run(compare), self.run(report)

    def page(self, reported):
        return self.shelf.read_bytes(reported.report_uri).decode()
