"""Draw the predictions of one video into a copy of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tasks.data.video.preview import Captioned, write_film
from tasks.predict.names import Names
from tasks.predict.probabilities import Ranked
from tasks.predict.scored import answered, read_scored
from tasks.store.objects import Store
from tasks.store.records.prediction import PredictorRole, PredictPlanResult
from tasks.store.records.video import ClipRecord
from tasks.wording import percent


def write_preview(
    plan: PredictPlanResult, clips: Sequence[ClipRecord], scored: Path, uri: str, names: Names, folder: Path, store: Store
) -> None:
    """Draw the best action of each network under every clip, and store the film.

    Args:
        plan: names the networks.
        clips: of the video, in order.
        scored: file with the answers on them.
        uri: of the film.
        names: of the classes.
        folder: for a clip and the film, until this returns.
        store: of the clips and the film.

    Raises:
        BadVideo: a clip does not decode.
    """
    labels = {role: predictor.label for role, predictor in plan.predictors.items()}

    def line(role: PredictorRole, best: Ranked, i: int) -> str:
        return f"{percent(float(best.probabilities[i, 0]))} {names.name('action', int(best.ids[i, 0]))} · {labels[role]}"

    def lines() -> Iterator[tuple[str, ...]]:
        for part in read_scored(scored):
            ranked = answered(part, plan.predictors, names.targets).ranked
            yield from (tuple(line(role, best["action"], i) for role, best in ranked.items()) for i in range(len(part.uids)))

    def captioned() -> Iterator[Captioned]:
        path = folder / "clip.mp4"
        for clip, under in zip(clips, lines(), strict=True):
            store.read_file(clip.uri, path)
            yield Captioned(path, under)
            path.unlink()

    film = folder / "film.mp4"
    write_film(captioned(), film, fps=plan.segment.fps)
    store.write_file(uri, film)
    film.unlink()
