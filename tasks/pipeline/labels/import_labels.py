"""Take in annotation files at a shell: `python -m tasks labels import FILE…`."""

from collections.abc import Sequence
from pathlib import Path

from tasks.data.clips.intake import kept_name, write_latest
from tasks.data.clips.label_inputs import (
    MAX_ANNOTATION_BYTES,
    annotation_file,
    annotation_objects,
    epic_list_objects,
    own_classes,
    video_records,
)
from tasks.data.clips.sources import read_chunks
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.file_labels import CheckedFile, check_files
from tasks.data.labels.formats.label_studio import with_frame_rate
from tasks.disk import expanded
from tasks.errors import BadConfiguration, BadInput, BadLabels
from tasks.pipeline._datasets import latest_labels
from tasks.pipeline._results import log
from tasks.pipeline.labels.contract import LabelsImportArguments
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import LabelsFile
from tasks.store.records.labelling import ImportedFile, LabelsImportResult
from tasks.store.records.video import NUM_FIRST
from tasks.store.stored import check_key
from tasks.wording import plain_count, printable, quoted, some


def run(arguments: LabelsImportArguments, store: Store) -> LabelsImportResult:
    """Put the files under `annotations/`, for `label`, and say how each was read.

    Raises:
        BadConfiguration: no file was named, or a frame rate for a file that has none.
        BadInput: none of the files can be read, or the store cannot keep the name of one.
    """
    if not arguments.files:
        raise BadConfiguration("labels import: name one or more annotation files")
    where = arguments.store_uri
    files = [_read(expanded(path), arguments.frame_rate) for path in arguments.files]
    store.ensure_bucket(where)
    checked = _checked(files, store, where)
    readable = [file for file, result in zip(files, checked, strict=True) if result.layout]
    wanted = {kept_name(file.name, file.content): file.content for file in readable}
    for name in wanted:
        try:
            check_key(Layout(where).annotations.file(name))
        except BadInput as error:
            raise BadInput(f"{quoted(name)}: {error}") from None
    for result in checked:
        _tell(result)
    if not wanted:
        raise BadInput(f"no file can be read: {'; '.join(f'{result.name} {result.problems[0].reason}' for result in checked)}")
    write_latest(store, where, wanted)
    return LabelsImportResult(files=tuple(_result(file, result, where) for file, result in zip(files, checked, strict=True)))


def _read(path: Path, frame_rate: float | None) -> AnnotationFile:
    too_large = f"{path} is larger than {MAX_ANNOTATION_BYTES >> 20} MiB; split it into several"
    try:
        content = b"".join(read_chunks(path, max_bytes=MAX_ANNOTATION_BYTES, too_large=too_large))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; name an annotation file") from None
    if frame_rate is not None:
        try:
            content = with_frame_rate(content, frame_rate)
        except BadLabels as error:
            raise BadConfiguration(f"--frame-rate: {path} {error}") from None
    return AnnotationFile(path.name, content)


def _checked(files: Sequence[AnnotationFile], store: Store, where: str) -> list[CheckedFile]:
    """Read the files after those of the store, which may give words their meaning."""
    others = [annotation_file(store, o) for o in (*epic_list_objects(store, where), *annotation_objects(store, where))]
    uri = latest_labels(store, where)
    last = store.read(uri, LabelsFile) if uri else None
    return check_files(files, others, video_records(store, where), own_classes(store, where), last)


def _tell(checked: CheckedFile) -> None:
    if not checked.layout:
        log.warning("%s: not taken in: %s", checked.name, checked.problems[0].reason)
        return
    log.info("%s: read as %s: %s", checked.name, checked.layout, plain_count(checked.num_labels, "label"))
    if checked.without_video:
        names = some([quoted(name) for name in checked.without_video])
        log.warning("%s: no video in the store for %s: %s", checked.name, plain_count(sum(checked.without_video.values()), "label"), names)
    for remark in checked.remarks:
        log.warning("%s: %s", checked.name, remark)
    for problem in checked.problems[:NUM_FIRST]:
        log.warning("refused: %s: %s", problem.place, problem.reason)
    if checked.num_refused > NUM_FIRST:
        log.warning("%s: and %s more like these", checked.name, checked.num_refused - NUM_FIRST)


def _result(file: AnnotationFile, checked: CheckedFile, where: str) -> ImportedFile:
    return ImportedFile(
        name=checked.name,
        layout=checked.layout,
        uri=Layout(where).annotations.file(kept_name(file.name, file.content)) if checked.layout else None,
        num_labels=checked.num_labels,
        num_without_video=sum(checked.without_video.values()),
        first_without_video=tuple(map(printable, checked.without_video))[:NUM_FIRST],
        num_refused=checked.num_refused,
        first_refused=checked.problems[:NUM_FIRST],
        remarks=checked.remarks,
    )
