"""Define the records of how far films lie from a model's training clips."""

from tasks.store.records.record import Record, SplitName


class ReferenceFilm(Record):
    """A source video of the model's dataset: its clips' cosine distances to the nearest training clip of another film, and predicted actions.

    `actions` are ids of `tasks.judge.statistics.answers`, one for each distance.
    """

    source: str
    split: SplitName
    distances: tuple[float, ...]
    actions: tuple[int, ...]


class ReferenceFilms(Record):
    """`runs/<run key>/known/<key>.json`: the films that new ones are compared with."""

    films: tuple[ReferenceFilm, ...]
