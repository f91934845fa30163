"""Write and read scored clips as a Parquet file, one row per clip.

Legend: n clips.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.parquet import decode, encode
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
    """Encode scored clips as Parquet.

    The bytes depend only on the clips and the pyarrow version.
    """
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

    Args:
        data: the file's bytes.
        uri: the file's address, for error messages.

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
