"""Write and read Parquet files, above all that of scored clips.

Legend: n clips.
"""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import BadInput
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.scoring import Logits, ScoredClips
from tasks.store.records.dataset import Vocabulary

SCHEMA = pa.schema(
    [
        ("uid", pa.string()),
        ("source", pa.string()),
        ("verb", pa.string()),
        ("noun", pa.string()),
        ("verb_class", pa.int64()),
        ("noun_class", pa.int64()),
        ("predicted_verb", pa.string()),
        ("predicted_noun", pa.string()),
        ("predicted_verb_class", pa.int64()),
        ("predicted_noun_class", pa.int64()),
        ("verb_right", pa.bool_()),
        ("noun_right", pa.bool_()),
        ("action_right", pa.bool_()),
        ("loss", pa.float64()),
        ("verb_logits", pa.list_(pa.float32())),
        ("noun_logits", pa.list_(pa.float32())),
    ],
    metadata={"retake": "logits are averaged over segments and crops, before softmax; loss is in nats, verb plus noun"},
)


def to_parquet(clips: ScoredClips, vocabulary: Vocabulary) -> bytes:
    """Encode scored clips as Parquet; the bytes depend only on the clips and the pyarrow version."""
    answers = answers_of(clips, vocabulary)
    verb, noun = answers["verb"], answers["noun"]
    table = pa.table(
        {
            "uid": clips.uids,
            "source": clips.sources,
            "verb": _names(verb, verb.true),
            "noun": _names(noun, noun.true),
            "verb_class": verb.true,
            "noun_class": noun.true,
            "predicted_verb": _names(verb, verb.predicted),
            "predicted_noun": _names(noun, noun.predicted),
            "predicted_verb_class": verb.predicted,
            "predicted_noun_class": noun.predicted,
            "verb_right": verb.right,
            "noun_right": noun.right,
            "action_right": answers["action"].right,
            "loss": clips.losses,
            "verb_logits": _rows(clips.verb_logits),
            "noun_logits": _rows(clips.noun_logits),
        },
        schema=SCHEMA,
    )
    return encode(table)


def from_parquet(data: bytes, uri: str) -> ScoredClips:
    """Read the clips that `to_parquet` wrote, bit for bit.

    Raises:
        BadInput: the bytes are not a predictions file.
    """
    table = decode(data, uri, SCHEMA, "predictions")
    return ScoredClips(
        uids=tuple(table["uid"].to_pylist()),
        sources=tuple(table["source"].to_pylist()),
        verb_classes=table["verb_class"].to_numpy(),
        noun_classes=table["noun_class"].to_numpy(),
        verb_logits=_matrix(table["verb_logits"]),
        noun_logits=_matrix(table["noun_logits"]),
    )


def _names(answers: Answers, ids: NDArray[np.int64]) -> list[str]:
    return [answers.names[class_id] for class_id in ids.tolist()]


def _rows(logits: Logits) -> pa.ListArray:
    offsets = np.arange(len(logits) + 1, dtype=np.int32) * logits.shape[1]
    return pa.ListArray.from_arrays(offsets, logits.ravel())


def _matrix(column: pa.ChunkedArray) -> Logits:
    flat: Logits = column.combine_chunks().flatten().to_numpy()
    return flat.reshape(len(column), -1)


def encode(table: pa.Table) -> bytes:
    """Encode a table; the bytes depend only on the table and the pyarrow version."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def decode(data: bytes, uri: str, schema: pa.Schema, content: str) -> pa.Table:
    """Read a table that `encode` wrote.

    Args:
        content: what such a file holds, for error messages.

    Raises:
        BadInput: the bytes are not a Parquet file of this schema.
    """
    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowInvalid, OSError):
        raise BadInput(f"{uri} is not a Parquet file; run `evaluate` again") from None
    if not table.schema.equals(schema):
        raise BadInput(f"{uri} has other columns than a file of {content}; run `evaluate` again")
    return table
