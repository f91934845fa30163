"""Rank a network's answers from its logits, and keep scored clips in Parquet files.

Legend: n clips, k ranks, v verbs, o nouns.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tasks.errors import BadInput
from tasks.judge.statistics.scoring import Logits, ScoredClips
from tasks.store.records.dataset import ClassRef, Vocabulary, action_name
from tasks.store.records.record import Target

NUM_RANKS = 5

Ids = NDArray[np.int64]
IdOrIds = TypeVar("IdOrIds", int, Ids)

ACTION_ID_STRIDE = 1 << 32
"""Larger than any noun head, so that action ids are equal for all networks. An action id means the same verb and noun for every network."""

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


def action_id(verb: IdOrIds, noun: IdOrIds) -> IdOrIds:
    """Combine a verb id and a noun id into one action id."""
    return verb * ACTION_ID_STRIDE + noun


def verb_and_noun(action: int) -> tuple[int, int]:
    """Split an action id into its verb id and noun id."""
    return divmod(action, ACTION_ID_STRIDE)


@dataclass(frozen=True)
class Answers:
    """True and predicted classes of one target.

    Attributes:
        true: (n,) class ids.
        ranked: (n, k) predicted class ids, best first.
        names: the name of each class id in `true` or among the top-1 predictions.
    """

    target: Target
    true: Ids
    ranked: Ids
    names: dict[int, str]

    @property
    def predicted(self) -> Ids:
        """Return the (n,) top-1 predictions."""
        return self.ranked[:, 0]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Return (n,) whether the top-1 prediction is right."""
        return np.equal(self.true, self.predicted)


def answers_of(clips: ScoredClips, vocabulary: Vocabulary) -> dict[Target, Answers]:
    """Rank verbs, nouns and actions for every clip.

    An action is right when verb and noun are right. Actions are ranked by log-probability of the verb plus that of the noun, over all
    pairs. Of equal classes the lower id comes first, of equal actions that with the likelier verb, so the ranking is the same on every machine.
    A class missing from the vocabulary is called `verb-7` or `noun-7`.
    """
    verbs, nouns = rank(clips.verb_logits), rank(clips.noun_logits)
    verb_name, noun_name = _namer(vocabulary.verbs, "verb"), _namer(vocabulary.nouns, "noun")

    def name_of_action(action: int) -> str:
        verb, noun = verb_and_noun(action)
        return action_name(verb_name(verb), noun_name(noun))

    true_actions = action_id(clips.verb_classes, clips.noun_classes)
    return {
        "verb": _answers("verb", clips.verb_classes, verbs, verb_name),
        "noun": _answers("noun", clips.noun_classes, nouns, noun_name),
        "action": _answers("action", true_actions, _rank_actions(clips, verbs, nouns), name_of_action),
    }


def rank(logits: Logits | NDArray[np.float64], num_ranks: int = NUM_RANKS) -> Ids:
    """Return the best class ids (n, num_ranks), best first; ties go to the lower id."""
    order: Ids = np.argsort(-logits, axis=1, kind="stable")
    return order[:, :num_ranks]


def _rank_actions(clips: ScoredClips, verbs: Ids, nouns: Ids) -> Ids:
    # The best k actions combine the best k verbs with the best k nouns: any other action is beaten by k of these.
    # Log-softmax subtracts one constant per clip, so sums of logits rank like sums of log-probabilities.
    verb_logits = np.take_along_axis(clips.verb_logits, verbs, axis=1).astype(np.float64)
    noun_logits = np.take_along_axis(clips.noun_logits, nouns, axis=1).astype(np.float64)
    sums = (verb_logits[:, :, None] + noun_logits[:, None, :]).reshape(len(verbs), -1)
    actions = action_id(verbs[:, :, None], nouns[:, None, :]).reshape(len(verbs), -1)
    order = np.argsort(-sums, axis=1, kind="stable")[:, :NUM_RANKS]
    return np.take_along_axis(actions, order, axis=1)


def _namer(classes: Iterable[ClassRef], kind: str) -> Callable[[int], str]:
    known = {ref.id: ref.name for ref in classes}
    return lambda class_id: known.get(class_id, f"{kind}-{class_id}")


def _answers(target: Target, true: Ids, ranked: Ids, name: Callable[[int], str]) -> Answers:
    ids = np.union1d(true, ranked[:, 0]).tolist()
    return Answers(target, true, ranked, {class_id: name(class_id) for class_id in ids})


def to_parquet(clips: ScoredClips, vocabulary: Vocabulary) -> bytes:
    """Encode scored clips as Parquet.

    Under one version of pyarrow, equal input gives equal bytes.
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
