"""Makes the sound of a film: the drawer rumbles, things land, are picked up and slide, when the picture shows it.

The thing gives the colour of a sound: meat thuds, a bag rustles, sauce squirts, a potato rolls. The action gives its course: one blow where
something is put down, a drawer around a quieter grasp where it is taken, two long strokes where it is moved. Sound is (n,), -1 to 1.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.films.motion import Action

RATE_HZ = 16_000
MOMENTS_PER_SECOND = 100
PIXELS_PER_SECOND = 60
"""A hand that carries something: sounds of motion are as loud as their makers below say at this speed."""
ROOM = 0.003

Sound = NDArray[np.float64]
Rng = np.random.Generator


def noise(rng: Rng, num_samples: int, low_hz: float, high_hz: float) -> Sound:
    """Noise between two frequencies, with a standard deviation of 1."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    frequencies = np.fft.rfftfreq(num_samples, 1 / RATE_HZ)
    spectrum[(frequencies < low_hz) | (frequencies > high_hz)] = 0
    made = np.fft.irfft(spectrum, num_samples)
    return made / max(1e-9, made.std())


def blow(rng: Rng, seconds: float, low_hz: float, high_hz: float, tone_hz: float) -> Sound:
    """A blow that dies away: noise, and a tone that falls."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    fading = np.exp(-times * 6 / seconds)
    tone = np.sin(2 * np.pi * tone_hz * (times - 0.5 * times**2))
    return fading * (0.25 * noise(rng, len(times), low_hz, high_hz) + 0.5 * tone)


def thud(rng: Rng) -> Sound:
    """Meat that lands."""
    return blow(rng, 0.35, 60, 700, rng.uniform(75, 105))


def rustle(rng: Rng) -> Sound:
    """A bag that is crumpled: many short crackles."""
    length = round(0.6 * RATE_HZ)
    made = np.zeros(length)
    for start in np.sort(rng.integers(0, length - 400, 40)):
        made[start : start + 400] += rng.uniform(0.3, 1) * noise(rng, 400, 2500, 7500) * np.exp(-np.arange(400) / 90)
    return 0.3 * made


def squirt(rng: Rng) -> Sound:
    """Sauce out of its bottle: hiss that rises and bubbles."""
    times = np.arange(round(0.7 * RATE_HZ)) / RATE_HZ
    bubbles = 0.6 + 0.4 * np.sign(np.sin(2 * np.pi * (18 + 14 * times) * times))
    swell = np.minimum(1, times / 0.15) * np.exp(-np.maximum(0, times - 0.35) * 9)
    return 0.3 * swell * bubbles * noise(rng, len(times), 900, 2600)


def roll(rng: Rng) -> Sound:
    """A potato that lands and rolls: knocks that come closer and fade."""
    made = np.zeros(round(0.9 * RATE_HZ))
    start, gap, level = 0.0, rng.uniform(0.13, 0.17), 1.0
    while start < 0.6:
        knock = level * blow(rng, 0.12, 150, 1500, rng.uniform(190, 230))
        first = round(start * RATE_HZ)
        made[first : first + len(knock)] += knock
        start, gap, level = start + gap, gap * 0.82, level * 0.78
    return made


BLOWS: dict[str, Callable[[Rng], Sound]] = {"meat": thud, "bag": rustle, "sauce": squirt, "potato": roll}
BANDS_HZ = {"meat": (80, 900), "bag": (2500, 7500), "sauce": (700, 2400), "potato": (120, 1600)}
FLUTTERS_HZ = {"meat": 3.0, "bag": 17.0, "sauce": 9.0, "potato": 6.0}
"""Rate at which the sound of sliding swells: slow for soft things, like steps for rolling ones."""


def soundtrack(actions: list[tuple[str, Action]], seconds: float, rng: Rng) -> NDArray[np.int16]:
    """The sound of a film (n,), 16 bit, of actions with their nouns."""
    track = ROOM * noise(rng, round(seconds * RATE_HZ), 40, 900)
    for noun, action in actions:
        first = round(action.start_seconds * RATE_HZ)
        made = _sound_of(noun, action, rng)[: len(track) - first]
        track[first : first + len(made)] += made
    return np.round(np.clip(track, -1, 1) * 32767).astype(np.int16)


def _sound_of(noun: str, action: Action, rng: Rng) -> Sound:
    length = action.stop_seconds - action.start_seconds
    phases = np.linspace(0, 1, round(length * MOMENTS_PER_SECOND))
    moments = [action.play(float(phase)) for phase in phases]
    places, lifts, drawers = (np.array([getattr(moment, name) for moment in moments]) for name in ("thing", "lift", "drawer"))
    speeds = np.hypot(*np.diff(places, axis=0, prepend=places[:1]).T) * MOMENTS_PER_SECOND / PIXELS_PER_SECOND
    made = np.zeros(round(length * RATE_HZ) + RATE_HZ)
    _add_motion(made, 0.05 * np.minimum(1, speeds) * (lifts == 0) * (drawers == 0), noun, rng)
    _add_drawer(made, np.abs(np.diff(drawers, prepend=drawers[:1])) * MOMENTS_PER_SECOND, rng)
    for at, level, handle in _events(lifts, speeds, drawers):
        blow_made = level * (BLOWS[noun](rng) if not handle else BLOWS[noun](rng)[::2])  # picked up: shorter and higher
        start = round(at / MOMENTS_PER_SECOND * RATE_HZ)
        made[start : start + len(blow_made)] += blow_made
    return made


def _events(lifts: NDArray[np.float64], speeds: NDArray[np.float64], drawers: NDArray[np.float64]) -> list[tuple[int, float, bool]]:
    """When something is put down or picked up: the moment, how loud, and whether it is picked up."""
    landed = [(int(n), 0.5, False) for n in np.flatnonzero((lifts[:-1] > 0) & (lifts[1:] == 0))]
    grasped = [(int(n), 0.25, True) for n in np.flatnonzero((lifts[:-1] == 0) & (lifts[1:] > 0))]
    slid = np.flatnonzero((speeds[:-1] == 0) & (speeds[1:] > 0) & (lifts[1:] == 0) & (drawers[1:] == 0))
    return [*landed, *grasped, *((int(n), 0.12, True) for n in slid)]


def _add_motion(made: Sound, levels: NDArray[np.float64], noun: str, rng: Rng) -> None:
    times = np.arange(len(made)) / RATE_HZ
    flutter = 0.65 + 0.35 * np.sin(2 * np.pi * FLUTTERS_HZ[noun] * times + rng.uniform(0, 6.3))
    made += _in_samples(levels, made) * flutter * noise(rng, len(made), *BANDS_HZ[noun])


def _add_drawer(made: Sound, speeds: NDArray[np.float64], rng: Rng) -> None:
    """The drawer's rumble, and its knock at each end."""
    made += 0.04 * _in_samples(np.minimum(1, speeds), made) * noise(rng, len(made), 50, 350)
    for at in np.flatnonzero((speeds[:-1] > 0) & (speeds[1:] == 0)):
        knock = 0.4 * blow(rng, 0.2, 200, 1200, 320)
        start = round(at / MOMENTS_PER_SECOND * RATE_HZ)
        made[start : start + len(knock)] += knock


def _in_samples(levels: NDArray[np.float64], made: Sound) -> Sound:
    return np.interp(np.arange(len(made)) / RATE_HZ, np.arange(len(levels)) / MOMENTS_PER_SECOND, levels, right=0)
