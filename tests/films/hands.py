"""Hands with forearms, seen from above: capsules blended into one relief."""

from dataclasses import dataclass

import numpy as np

from tests.films.sprites import Array, Sprite, blend, edge, fill, grid, lit, mirrored, smooth_noise

SKINS = ((236, 190, 160), (222, 170, 134), (198, 142, 104), (164, 110, 76), (122, 80, 56), (92, 60, 44))
SLEEVES = ((52, 70, 110), (150, 40, 48), (60, 62, 66), (226, 222, 214), (56, 104, 84), (196, 160, 70), (110, 76, 130))

# A bone: from (x, y), to (x, y), radius at each end; pixels from the grip point, the fingers up. Thumb at the left: a right hand.
Bone = tuple[float, float, float, float, float, float]
PALM: tuple[Bone, ...] = (
    (-12, 64, -15, 38, 13, 11),
    (0, 66, -2, 35, 14, 12),
    (12, 64, 13, 39, 13, 11),
    (0, 66, 0, 104, 17, 15.5),
    (0, 104, 0, 330, 15.5, 27),
)
OPEN: tuple[Bone, ...] = (
    (-17, 38, -23, 12, 6.8, 6.2),
    (-23, 12, -27, -10, 6.2, 5),
    (-5, 34, -7, 4, 7, 6.4),
    (-7, 4, -9, -20, 6.4, 5),
    (6, 35, 9, 6, 6.8, 6.2),
    (9, 6, 12, -15, 6.2, 4.8),
    (17, 40, 24, 18, 5.8, 5.2),
    (24, 18, 29, 2, 5.2, 4.2),
    (-18, 64, -34, 42, 8.5, 7),
    (-34, 42, -44, 22, 7, 5.5),
)
GRIP: tuple[Bone, ...] = (
    (-16, 38, -19, 16, 7.2, 6.8),
    (-19, 16, -14, 2, 6.8, 5.2),
    (-5, 34, -6, 9, 7.4, 7),
    (-6, 9, -4, -6, 7, 5.4),
    (7, 35, 8, 11, 7.2, 6.8),
    (8, 11, 6, -3, 6.8, 5.2),
    (17, 40, 20, 20, 6, 5.6),
    (20, 20, 16, 7, 5.6, 4.4),
    (-18, 64, -34, 40, 8.5, 7.2),
    (-34, 40, -30, 18, 7.2, 5.8),
)
WIDTH, HEIGHT, GRIP_Y = 124, 330, 36


@dataclass(frozen=True)
class Hands:
    """Both hands of one person, anchored at the grip point."""

    right_open: Sprite
    right_grip: Sprite
    left_open: Sprite
    left_grip: Sprite


def _add_capsule(u: Array, v: Array, bone: Bone, relief: Array, distance: Array) -> None:
    """Raise `relief` and lower the signed `distance`, in place, where a capsule lies whose radius changes along it."""
    x0, y0, x1, y1, r0, r1 = bone
    reach = max(r0, r1) + 4
    columns = slice(*np.searchsorted(u[0], (min(x0, x1) - reach, max(x0, x1) + reach)))
    rows = slice(*np.searchsorted(v[:, 0], (min(y0, y1) - reach, max(y0, y1) + reach)))
    near_u, near_v = u[rows, columns], v[rows, columns]
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((near_u - x0) * dx + (near_v - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    outside = np.hypot(near_u - x0 - along * dx, near_v - y0 - along * dy)
    radius = r0 + along * (r1 - r0)
    relief[rows, columns] = np.maximum(relief[rows, columns], np.sqrt(np.clip(radius**2 - outside**2, 0, None)))
    distance[rows, columns] = np.minimum(distance[rows, columns], outside - radius)


def _hand(rng: np.random.Generator, bones: tuple[Bone, ...], skin: Array, sleeve: Array, cuff_y: float) -> Sprite:
    u, v = grid(WIDTH, HEIGHT)
    v = v + (HEIGHT / 2 - GRIP_Y)
    relief, distance = np.zeros_like(u), np.full_like(u, 1e3)
    for bone in PALM + bones:
        _add_capsule(u, v, bone, relief, distance)
    albedo = fill(u.shape, skin)
    albedo *= (1 + 0.03 * smooth_noise(rng, u.shape, 5))[..., None]
    # Knuckles and fingertips are redder; nails are paler.
    rows = slice(0, int(np.searchsorted(v[:, 0], 80)))
    near_u, near_v, near = u[rows], v[rows], albedo[rows]
    for x0, y0, x1, y1, _, tip in bones:
        blend(near, skin * np.array([0.96, 0.78, 0.74]), 0.45 * np.exp(-(((near_u - x0) / 6) ** 2 + ((near_v - y0) / 4) ** 2)))
        if tip < 5.9:
            back = 0.35 * tip / np.hypot(x1 - x0, y1 - y0)
            nail = np.hypot((near_u - x1 - back * (x1 - x0)) / 2.6, (near_v - y1 - back * (y1 - y0)) / 3.4)
            blend(near, skin * 0.6 + 100, 0.8 * edge((nail - 1) * 3))
    cloth = edge(cuff_y - v)
    blend(albedo, sleeve, cloth)
    relief = relief * (1 + 0.12 * cloth) + cloth * 0.8 * smooth_noise(rng, u.shape, (4, 9))
    grown = np.where(v > cuff_y, distance - 2.5, distance)
    return lit(albedo, relief * 0.75, edge(grown), anchor=(WIDTH / 2, GRIP_Y))


def hands(rng: np.random.Generator) -> Hands:
    """A person's hands: one of six skin tones, a sleeve that ends somewhere on the forearm."""
    skin = np.asarray(SKINS[rng.integers(len(SKINS))], dtype=np.float32) * np.float32(rng.uniform(0.93, 1.05))
    sleeve = np.asarray(SLEEVES[rng.integers(len(SLEEVES))], dtype=np.float32) * np.float32(rng.uniform(0.85, 1.1))
    cuff_y = rng.uniform(96, 190)
    opened, gripping = (_hand(rng, bones, skin, sleeve, cuff_y) for bones in (OPEN, GRIP))
    return Hands(opened, gripping, mirrored(opened), mirrored(gripping))
