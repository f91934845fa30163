"""Steps: read inputs from the store, call the core, write outputs, write `result.json` last. Each module has `Arguments` and `run`."""

STEPS: dict[str, str] = {
    "ingest": "take videos and annotation files into the store",
    "segment": "cut a batch of videos into clips",
    "summarise": "sum up an ingest",
    "label": "find the labels of all clips",
    "split": "deal source videos to train, val and test",
    "dataset": "write the dataset: manifest, CSV files, histograms",
    "weights": "fetch and verify the weights to start from",
    "plan": "decide what is trained and tested",
    "train": "fine-tune the network",
    "evaluate": "score one network on one split",
    "compare": "set the fine-tuned network beside what it must beat, by the gate's rules",
    "report": "write the report, its numbers and the model card",
    "register": "register the model in MLflow as challenger",
    "decide": "make it champion, or leave the champion as it is",
}
"""Sub-command, which is also the module's name, and what it does."""

COMMANDS: dict[str, str] = {**STEPS, "rollback": "make an earlier version champion again"}
"""With what people call alone, at a shell."""
