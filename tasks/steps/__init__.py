"""Steps: read inputs from the store, call the rooms' cores, write outputs, write `result.json` last. Each module has `Arguments` and `run`."""

from typing import NamedTuple


class Command(NamedTuple):
    """A sub-command of `python -m tasks`: the module that runs it, below this package, and what it does."""

    module: str
    summary: str


STEPS: dict[str, Command] = {
    "ingest": Command("ingest_videos.ingest", "take videos and annotation files into the store"),
    "segment": Command("ingest_videos.segment", "cut a batch of videos into clips"),
    "summarise": Command("ingest_videos.summarise", "sum up an ingest"),
    "label": Command("build_dataset.label", "find the labels of all clips"),
    "split": Command("build_dataset.split", "deal source videos to train, val and test"),
    "dataset": Command("build_dataset.dataset", "write the dataset: manifest, CSV files, histograms"),
    "weights": Command("retrain.weights", "fetch and verify the weights to start from"),
    "plan": Command("retrain.plan", "decide what is trained and tested"),
    "flows": Command("retrain.missing_flow", "list the clips whose optical flow is missing"),
    "flow": Command("retrain.compute_flow", "compute the optical flow of a batch of clips"),
    "train": Command("retrain.train", "fine-tune the network"),
    "evaluate": Command("retrain.evaluate", "score one network on its splits"),
    "compare": Command("retrain.compare", "set the fine-tuned network beside what it must beat, by the gate's rules"),
    "report": Command("retrain.report", "write the report, its numbers and the model card"),
    "register": Command("retrain.register", "register the model in MLflow as challenger"),
    "decide": Command("retrain.decide", "make it champion, or leave the champion as it is"),
    "predict_plan": Command("predict_videos.predict_plan", "decide which videos are predicted, and by which networks"),
    "predict_cut": Command("predict_videos.predict_cut", "cut a batch of videos that are to be predicted"),
    "predict_known": Command("predict_videos.predict_known", "look at a sample of the clips that the model was trained on"),
    "predict_batch": Command("predict_videos.predict_batch", "predict a batch of videos"),
    "predict_report": Command("predict_videos.predict_report", "write the tables, tracks, page and to-label list of a prediction"),
    "configure": Command("compare_networks.configure", "read the configurations of a comparison of networks"),
    "enter": Command("compare_networks.plan_network", "plan the training of one configuration"),
    "tabulate": Command("compare_networks.tabulate", "set the networks of a comparison beside each other in one table"),
}
"""By sub-command; `flows`, `flow` and `enter` are names of tasks, which say less than those of their modules."""

COMMANDS: dict[str, Command] = {
    **STEPS,
    "predict": Command("predict_videos.predict", "predict videos by two networks side by side"),
    "rollback": Command("retrain.rollback", "make an earlier version champion again"),
}
"""With what people call alone, at a shell."""


def module_of(command: str) -> str:
    """The full name of the module that runs a sub-command."""
    return f"{__name__}.{COMMANDS[command].module}"
