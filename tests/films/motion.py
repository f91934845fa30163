"""How put, take and move look: where hands, thing, drawer and camera are at every moment of an action.

Phases run from 0 to 1 over an action. Positions are world pixels. A thing's position is its centre, a hand's its grip point.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tests.films.scene import DRAWER_DEPTH, Kitchen
from tests.films.sprites import Sprite

Pose = Literal["right_open", "right_grip", "left_open", "left_grip"]
OUT_OF_SIGHT = 240


@dataclass(frozen=True)
class HandAt:
    """One hand at one moment; `degrees` counter-clockwise from fingers up, the same for a pose during an action."""

    pose: Pose
    x: float
    y: float
    degrees: float


@dataclass(frozen=True)
class Moment:
    """All that moves, at one moment."""

    thing: tuple[float, float]
    lift: float = 0
    opacity: float = 1
    hands: tuple[HandAt, ...] = ()
    drawer: float = 0


Play = Callable[[float], Moment]


@dataclass(frozen=True)
class Action:
    """One labelled interval of a video and how it is played."""

    start_seconds: float
    stop_seconds: float
    thing: Sprite
    camera: tuple[float, float]
    play: Play


def along(phase: float, phases: tuple[float, ...], values: tuple[float, ...]) -> float:
    """Move from value to value, starting and stopping gently."""
    i = int(np.clip(np.searchsorted(phases, phase, side="right") - 1, 0, len(phases) - 2))
    share = float(np.clip((phase - phases[i]) / (phases[i + 1] - phases[i]), 0, 1))
    share = share * share * (3 - 2 * share)
    return values[i] + (values[i + 1] - values[i]) * share


def put(rng: np.random.Generator, kitchen: Kitchen, thing: Sprite) -> Play:
    """One hand brings a thing down on the board or plate, lets go and withdraws."""
    x, y = kitchen.put_on.x + rng.uniform(-16, 16), kitchen.put_on.y + rng.uniform(-12, 8)
    right = bool(rng.random() < 0.6)
    side = 1 if right else -1
    degrees, below = side * rng.uniform(4, 26), thing.rgb.height * rng.uniform(0.22, 0.28)
    reach = (0.0, rng.uniform(0.12, 0.2), rng.uniform(0.3, 0.38), rng.uniform(0.46, 0.54), 0.66, 0.74, 0.9, 1.0)
    xs = (x + side * 90, x + side * rng.uniform(8, 26), x + rng.uniform(-6, 6), x, x, x + side * 12, x + side * 90, x + side * 90)
    ys = (y + OUT_OF_SIGHT, y - 4, y - rng.uniform(14, 24), y, y, y + 18, y + OUT_OF_SIGHT, y + OUT_OF_SIGHT)

    def play(phase: float) -> Moment:
        hand_x, hand_y = along(phase, reach, xs), along(phase, reach, ys)
        held = phase < 0.66
        lift = along(phase, (0, reach[2], reach[3], 1), (26, 26, 0, 0))
        pose: Pose = ("right_grip" if held else "right_open") if right else ("left_grip" if held else "left_open")
        hand = HandAt(pose, hand_x, hand_y + below, degrees)
        return Moment((hand_x, hand_y) if held else (x, y), lift, along(phase, (0, 0.96, 1), (1, 1, 0)), (hand,))

    return play


def take(rng: np.random.Generator, kitchen: Kitchen, thing: Sprite) -> Play:
    """The drawer is open; one hand reaches in, lifts a thing out, holds it over the counter's edge and carries it off."""
    x, y = kitchen.take_from.x + rng.uniform(-34, 34), kitchen.take_from.y + rng.uniform(58, 72)
    right = bool(rng.random() < 0.6)
    side = 1 if right else -1
    degrees, below = side * rng.uniform(4, 26), thing.rgb.height * rng.uniform(0.22, 0.28)
    grasp, up = rng.uniform(0.28, 0.36), rng.uniform(0.5, 0.58)
    reach = (0.0, 0.08, grasp - 0.06, grasp + 0.04, up, 0.9, 1.0)
    held_x, held_y = x - side * rng.uniform(0, 24), y - rng.uniform(34, 60)
    xs = (x + side * 60, x + side * 60, x, x, held_x, held_x + rng.uniform(-8, 8), held_x + side * 90)
    ys = (y + OUT_OF_SIGHT, y + OUT_OF_SIGHT, y + 4, y, held_y, held_y + rng.uniform(-8, 8), held_y + OUT_OF_SIGHT)

    def play(phase: float) -> Moment:
        hand_x, hand_y = along(phase, reach, xs), along(phase, reach, ys)
        drawer = along(phase, (0, 0.1, 0.92, 1), (0, 1, 1, 0))
        held = phase >= grasp
        lift = along(phase, (0, grasp + 0.04, up, 1), (0, 0, 30, 30))
        pose: Pose = ("right_grip" if held else "right_open") if right else ("left_grip" if held else "left_open")
        resting = (x, y - (1 - drawer) * DRAWER_DEPTH)
        hand = HandAt(pose, hand_x, hand_y + below, degrees)
        return Moment((hand_x, hand_y) if held else resting, lift, 1 if held else min(1, max(0, drawer * 3 - 1.5)), (hand,), drawer)

    return play


def move(rng: np.random.Generator, kitchen: Kitchen, thing: Sprite) -> Play:
    """Two hands hold a thing from both sides and slide it along the tray."""
    x, y = kitchen.move_on.x, kitchen.move_on.y + rng.uniform(-10, 8)
    side = rng.choice([-1, 1])
    far, near = side * rng.uniform(36, 52), side * rng.uniform(0, 20)
    slide = (0.0, 0.2, rng.uniform(0.42, 0.5), rng.uniform(0.56, 0.62), rng.uniform(0.76, 0.82), 1.0)
    xs = (x - far, x - far, x + far, x + far, x - near, x - near)
    degrees = rng.uniform(34, 50)
    grip = 10 + thing.rgb.width * rng.uniform(0.2, 0.24)

    def play(phase: float) -> Moment:
        thing_x = along(phase, slide, xs)
        away = along(phase, (0, 0.16, 0.86, 1), (1, 0, 0, 1))
        held = away < 0.03
        right = HandAt("right_grip" if held else "right_open", thing_x + grip + away * 150, y + 14 + away * OUT_OF_SIGHT, degrees)
        left = HandAt("left_grip" if held else "left_open", thing_x - grip - away * 150, y + 14 + away * OUT_OF_SIGHT, -degrees)
        return Moment((thing_x, y), 0, along(phase, (0, 0.04, 0.96, 1), (0, 1, 1, 0)), (left, right))

    return play


VERBS: dict[str, Callable[[np.random.Generator, Kitchen, Sprite], Play]] = {"put": put, "take": take, "move": move}
