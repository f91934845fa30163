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
    "compare": "set the fine-tuned network beside what it must beat",
    "register": "register the model in MLflow",
}
"""Sub-command, which is also the module's name, and what it does."""
