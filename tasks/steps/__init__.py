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
    "flows": "list the clips whose optical flow is missing",
    "flow": "compute the optical flow of a batch of clips",
    "train": "fine-tune the network",
    "evaluate": "score one network on its splits",
    "compare": "set the fine-tuned network beside what it must beat, by the gate's rules",
    "report": "write the report, its numbers and the model card",
    "register": "register the model in MLflow as challenger",
    "decide": "make it champion, or leave the champion as it is",
    "predict_plan": "decide which videos are predicted, and by which networks",
    "predict_cut": "cut a batch of videos that are to be predicted",
    "predict_known": "look at a sample of the clips that the model was trained on",
    "predict_batch": "predict a batch of videos",
    "predict_report": "write the tables, tracks, page and to-label list of a prediction",
    "configure": "read the configurations of a comparison of networks",
    "enter": "plan the training of one configuration",
    "tabulate": "set the networks of a comparison beside each other in one table",
}
"""Sub-command, which is also the module's name, and what it does."""

COMMANDS: dict[str, str] = {
    **STEPS,
    "predict": "predict videos by two networks side by side",
    "rollback": "make an earlier version champion again",
}
"""With what people call alone, at a shell."""
