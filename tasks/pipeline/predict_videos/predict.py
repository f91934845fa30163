"""Predict videos by one command: `python -m tasks predict VIDEO… --model models:/retake-tsn@champion`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.disk import expanded
from tasks.options import EvaluateOptions, PredictOptions
from tasks.pipeline._results import log, make_folder, not_writable
from tasks.pipeline._trained import store_of
from tasks.pipeline.predict_videos import predict_batch, predict_known, predict_plan, predict_report
from tasks.pipeline.predict_videos.contract import PredictArguments, PredictBatchArguments, PredictionArguments, PredictPlanArguments
from tasks.predict.output_files import rows_of
from tasks.store.objects import Store
from tasks.store.records.prediction import PredictPlanResult, PredictReportResult
from tasks.store.run_layout import Prediction
from tasks.wording import MAX_LISTED, count, percent, stretch, text_of_cell

WRITTEN = ".retake-prediction.json"
"""Lists the files written to a folder, with size and, once all are there, time, so that a later prediction takes them away."""


def run(arguments: PredictArguments, store: Store) -> PredictReportResult:
    """Run all steps of a prediction, or return the earlier report if nothing changed.

    Raises:
        BadInput: there is no such model, or no video that can be predicted.
        NothingToDo: no video was named, and every ingested one was trained on.
    """
    if arguments.to:
        make_folder(expanded(arguments.to))
    where = arguments.store or store_of(arguments.model)
    options = {name: getattr(arguments, name) for model in (PredictOptions, EvaluateOptions) for name in model.model_fields}
    plan = predict_plan.decide(PredictPlanArguments(store=where, **options), store)
    if earlier := predict_plan.finished_report(plan, store):
        log.info("these videos were predicted by these networks before: %s", earlier.report_url)
    result = earlier or _carry_out(plan, store)
    if arguments.to:
        _copy(plan, expanded(arguments.to), store)
    return result


def in_words(result: PredictReportResult, store: Store) -> list[str]:
    """Summarise a prediction: answers, files left out, and the address of its page."""
    by_clip = list(rows_of(store.read_bytes(result.table_uri), ()))
    rows = by_clip if result.intervals_uri is None else rows_of(store.read_bytes(result.intervals_uri), ())
    network = by_clip[0]["network"]
    # A clip has a row for each rank, an interval has one.
    answers = [
        (float(row.get("probability") or row.get("action_probability") or row["verb_probability"]), row)
        for row in rows
        if row["network"] == network and row.get("rank", "1") == "1"
    ]
    answered = count(len(answers), "clip" if result.intervals_uri is None else "interval")
    lines = [f"{network} reports {answered} of {count(result.num_videos, 'video')}{'; the likeliest:' if answers else ''}"]
    for probability, row in sorted(answers, key=lambda answer: -answer[0])[:MAX_LISTED]:
        when = stretch(float(row["start_seconds"]), float(row["stop_seconds"]))
        lines.append(f"  {text_of_cell(row['video'])} {when}: {text_of_cell(row.get('action') or row['verb'])}, {percent(probability)}")
    lines += [f"left out: {reason}" for reason in (*(f"{bad.name}: {bad.reason}" for bad in result.first_set_aside), *result.missing)]
    if more := result.num_set_aside - len(result.first_set_aside):
        lines.append(f"left out: {more:,} more; the page lists them")
    return [*lines, f"the page: {result.report_url}"]


def _copy(plan: PredictPlanResult, folder: Path, store: Store) -> None:
    """Copy the report's files to a folder; they replace an earlier prediction's, and namesakes.

    Raises:
        BadConfiguration: the folder cannot be written to.
    """
    report = Prediction(plan.prediction_uri).report
    listed = {stored.uri: stored for stored in store.list(report.folder_uri) if stored.uri != report.uri}
    places = {uri: report.name_of(uri) for uri in listed}
    for uri in [uri for uri, place in places.items() if not _stays_inside(place)]:
        log.warning("left in the store, because no file here can have its name: %s", uri)
        del places[uri]
    try:
        _remove_earlier(folder)
        # If the copying ends early, the next prediction knows its files by their sizes.
        _list_files(folder, {place: [listed[uri].size_bytes] for uri, place in places.items()})
        for uri, place in sorted(places.items()):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            store.read_file(uri, folder / place)
        _list_files(folder, {place: _state(folder / place) for place in places.values()})
    except OSError as error:
        raise not_writable(folder, error) from None
    log.info("copied to %s: %s", folder, ", ".join(sorted(places.values())))


def _list_files(folder: Path, states: Mapping[str, Sequence[int]]) -> None:
    """Replace the list of the files written to a folder; on failure the earlier stays."""
    partial = folder / f"{WRITTEN}.partial"
    partial.write_text(json.dumps(states, ensure_ascii=False, indent=1), encoding="utf-8")
    partial.replace(folder / WRITTEN)


def _remove_earlier(folder: Path) -> None:
    """Remove the files of an earlier prediction that nobody changed, and nothing else."""
    try:
        written = json.loads((folder / WRITTEN).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except ValueError:
        written = None
    if not isinstance(written, dict):
        log.warning("%s is not a list of files that a prediction wrote; earlier files stay", folder / WRITTEN)
        return
    for place, state in written.items():
        path = folder / place
        inside = _stays_inside(place) and path.parent.resolve() == folder.resolve() / Path(place).parent
        if inside and path.is_file() and not path.is_symlink() and state in (_state(path), _state(path)[:1]):
            path.unlink()


def _state(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _stays_inside(place: str) -> bool:
    """Check whether a key, as a path, stays below its folder; `/etc/x` does not."""
    return all(name not in ("", ".", "..") and "\0" not in name for name in place.split("/"))


def _carry_out(plan: PredictPlanResult, store: Store) -> PredictReportResult:
    prediction = Prediction(plan.prediction_uri)
    common = {"store": plan.store, "plan": prediction.plan.folder_uri}
    predict_known.run(PredictionArguments(**common), store)
    for batch in plan.batches:
        predict_batch.run(PredictBatchArguments(**common, batch=batch.uri), store)
    return predict_report.run(PredictionArguments(**common), store)
