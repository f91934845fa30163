"""Run the steps of retrain in this process, on stores in memory."""

from tasks.data.split.manifest import split_csv
from tasks.judge.statistics.answers import from_parquet
from tasks.pipeline.commands import COMMANDS
from tasks.pipeline.retrain.contract import WeightsArguments
from tasks.store.layout import Dataset
from tasks.store.records.decisions import ReportResult
from tasks.store.records.evaluation import EvaluateResult
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.shelf import dataset_clip, manifest_of, words

DATASET = f"{STORE}/datasets/d/"
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
    "num_seeds": 1,
}
"""A network that trains in a second."""


class TrainingBench(Bench):
    """The steps of a training, one after another."""

    def __init__(self, films, mlflow):
        super().__init__()
        self.films, self.mlflow, self.plan = films, mlflow, None

    @property
    def logged(self):
        """The run of the latest plan in MLflow."""
        return self.mlflow.named(self.plan.run_key)

    @property
    def model(self):
        """The folder of the registered model of the latest plan."""
        return str(self.mlflow.folder / self.logged.info.run_id)

    def label(self, *labels, num_train=4, num_val=4):
        """Make a dataset of clips with these labels by turns: verb and its id, noun and its id. Each film is the source of two clips."""
        clips = []
        for number, cut in enumerate(self.store.clips("c" * 64, num_train + num_val)):
            self.store.write_bytes(cut.uri, self.films[number // 2 % len(self.films)])
            label = dict(zip(("verb", "verb_class", "noun", "noun_class"), labels[number % len(labels)], strict=True))
            seen = cut.model_dump(exclude={"index", "size_bytes", "has_audio"})
            split = "train" if number < num_train else "val"
            clips.append(dataset_clip(split=split, source=f"film {number // 2}", **seen, **label))
        verbs, nouns = ({label[1]: label[0] for label in labels}, {label[3]: label[2] for label in labels})
        manifest = manifest_of(clips, words(verbs, nouns))
        self.store.write(Dataset(DATASET).manifest, manifest)
        for split in ("train", "val"):
            self.store.write_bytes(Dataset(DATASET).table(split), split_csv(manifest, split))

    def run(self, step, **flags):
        """Run a step, by default on the latest plan."""
        on_plan = self.plan and "plan" in COMMANDS[step].arguments.model_fields
        return super().run(step, **({"plan": f"{self.plan.decision_uri}plan/"} if on_plan else {}) | flags)

    def decide(self, **options):
        """Plan what the form with these options leads to."""
        self.plan, options, out = None, TINY | options, f"{STORE}/pretrained/choices/x/"
        self.run("weights", out=out, **{name: value for name, value in options.items() if name in WeightsArguments.model_fields})
        self.plan = self.run("plan", weights_result=out, dataset=DATASET, **options)
        return self.plan

    def change(self, **changes):
        """Write another plan in the place of the latest."""
        self.plan = self.plan.model_copy(update=changes)
        self.store.write(f"{self.plan.decision_uri}plan/result.json", self.plan)

    def evaluate_trained(self):
        """Test the trained network alone, on val alone, and return its answers."""
        (val,) = (planned for planned in self.plan.evaluations if (planned.model, planned.split) == ("fine-tuned", "val"))
        self.change(evaluations=(val,))
        self.run("evaluate")
        uri = self.store.read(f"{val.out}result.json", EvaluateResult).predictions_uri
        return from_parquet(self.store.read_bytes(uri), uri)

    def register(self):
        """Register the trained network as if its report had been written."""
        card = f"{self.plan.decision_uri}report/README.md"
        self.store.write_bytes(card, b"---\ntags: [video]\n---\n\n# Card\n\nTSN\n")
        urls = dict.fromkeys(("report_uri", "metrics_uri", "report_url", "mlflow_run_url", "question"), "")
        result = ReportResult(card_uri=card, awaits_approval=False, approval_hours=1, **urls)
        self.store.write(f"{self.plan.decision_uri}report/result.json", result)
        return self.run("register")

    def evaluate(self):
        """Test every network of the plan, and return the results by network and split."""
        self.run("evaluate")
        results = (self.store.read(f"{planned.out}result.json", EvaluateResult) for planned in self.plan.evaluations)
        return {(result.model, result.split): result for result in results}

    def report(self):
        """Compare what was tested, and return the results of comparison and report."""
        return self.run("compare"), self.run("report")

    def page(self, reported):
        return self.store.read_bytes(reported.report_uri).decode()
