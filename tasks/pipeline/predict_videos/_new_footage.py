"""Compare the videos of a prediction that are outside the model's dataset with its films."""

from collections import Counter
from collections.abc import Sequence

from tasks.pipeline.predict_videos._chosen import dataset_clips, training_clips
from tasks.predict.gathering import Gathered
from tasks.predict.names import Names
from tasks.predict.shift import ClassMix, NewFilm, Shift, class_mix, shift_of
from tasks.store.objects import Store
from tasks.store.records.experiments import KnownClipsResult, PredictPlanResult, ScoredVideo


def new_footage(
    plan: PredictPlanResult, videos: Sequence[ScoredVideo], gathered: Gathered, known: KnownClipsResult, names: Names, store: Store
) -> tuple[Shift | None, ClassMix | None]:
    """Compare distances and predicted actions by source video; None without a new video, or a training clip."""
    films = _new_films(plan, [video for video in videos if video.video in gathered.distances], store)
    if not films:
        return None, None
    new = [
        NewFilm(source, ", ".join(video.name for video in own), [d for video in own for d in gathered.distances[video.video]])
        for source, own in films.items()
    ]
    labels = Counter(names.action(clip.verb_class, clip.noun_class) for clip in training_clips(plan, store))
    predicted = [action for own in films.values() for video in own for action in gathered.actions[video.video]]
    of_test = [action for film in known.reference if film.split == "test" for action in film.actions]
    return shift_of(new, known.reference), class_mix(predicted, of_test, labels)


def _new_films(plan: PredictPlanResult, videos: Sequence[ScoredVideo], store: Store) -> dict[str, list[ScoredVideo]]:
    """Group the videos outside the model's dataset by source video."""
    met = {name for clip in dataset_clips(plan, store) for name in (clip.video, clip.source)}
    films: dict[str, list[ScoredVideo]] = {}
    for video in videos:
        source = plan.sources.get(video.video, video.video)
        if met.isdisjoint({video.video, source}):
            films.setdefault(source, []).append(video)
    return films
