"""Paints a kitchen from above: wall, counter, things on it, and the drawer below; larger than the camera's view.

World pixels: x across, y down; (h, w) = (WORLD_HEIGHT, WORLD_WIDTH).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from tests.films.sprites import Array, Sprite, blend, edge, fill, grid, lit, smooth_noise, turned
from tests.films.things import CLUTTER, NOUNS

WORLD_WIDTH, WORLD_HEIGHT = 500, 420
COUNTER_TOP, COUNTER_BOTTOM = 46, 258
DRAWER_WIDTH, DRAWER_DEPTH, DRAWER_FRONT = 216, 118, 24
SHAPE = (WORLD_HEIGHT, WORLD_WIDTH)

WOODS = ((172, 124, 78), (126, 82, 50), (202, 164, 116), (96, 62, 44))
STONES = ((196, 192, 186), (74, 76, 80), (146, 134, 122), (226, 222, 214))
PAINTS = ((210, 206, 196), (88, 112, 120), (160, 82, 66), (232, 232, 228), (120, 138, 104))


@dataclass(frozen=True)
class Place:
    """Where something is put, taken from or moved, in world pixels."""

    x: float
    y: float


@dataclass(frozen=True)
class Kitchen:
    """The painted world of one video: `world` with the drawer shut, `drawer` with its front at the bottom."""

    world: Image.Image
    drawer: Image.Image
    put_on: Place
    move_on: Place
    take_from: Place

    def paste_drawer(self, view: Image.Image, left: int, top: int, pulled: float) -> None:
        """Paint the drawer, pulled out by a share of its depth, over a cut-out of the world whose corner is (left, top)."""
        visible = round(pulled * DRAWER_DEPTH) + DRAWER_FRONT
        part = self.drawer.crop((0, self.drawer.height - visible, DRAWER_WIDTH, self.drawer.height))
        view.paste(part, (round(self.take_from.x - DRAWER_WIDTH / 2) - left, round(self.take_from.y) - top))


def _pick(rng: np.random.Generator, colours: tuple[tuple[int, int, int], ...]) -> Array:
    return np.asarray(colours[rng.integers(len(colours))], dtype=np.float32) * rng.uniform(0.88, 1.08, 3).astype(np.float32)


def _wood(rng: np.random.Generator, shape: tuple[int, int], colour: Array) -> Array:
    """Planks across, with grain."""
    v = np.arange(shape[0], dtype=np.float32)[:, None]
    warp = smooth_noise(rng, shape, (7, 70))
    grain = 0.07 * np.sin(v * 0.55 + 3 * warp) + 0.05 * smooth_noise(rng, shape, (0.7, 22))
    return np.asarray(colour * (1 + grain + 0.05 * warp)[..., None], dtype=np.float32)


def _counter(rng: np.random.Generator) -> Array:
    """One of four surfaces: wood, granite, marble, laminate."""
    kind = rng.integers(4)
    if kind == 0:
        return _wood(rng, SHAPE, _pick(rng, WOODS))
    albedo = fill(SHAPE, _pick(rng, STONES if kind < 3 else PAINTS))
    cloud = smooth_noise(rng, SHAPE, 30)
    if kind == 1:
        albedo *= (1 + 0.05 * cloud)[..., None]
        for colour, threshold in (((30, 28, 28), 1.25), ((236, 230, 222), 1.5), ((140, 100, 80), 1.7)):
            blend(albedo, colour, 0.75 * np.clip((smooth_noise(rng, SHAPE, 1.3) - threshold) * 3, 0, 1))
    elif kind == 2:
        vein = np.exp(-np.abs(smooth_noise(rng, SHAPE, (16, 30)) + 0.3 * smooth_noise(rng, SHAPE, 6)) / 0.07)
        albedo *= (1 + 0.05 * cloud)[..., None]
        blend(albedo, 250 - albedo.mean() * np.ones(3), 0.45 * vein)
    else:
        albedo *= (1 + 0.03 * cloud + 0.025 * smooth_noise(rng, SHAPE, 0.8))[..., None]
    return albedo


def _walls(rng: np.random.Generator, world: Array, cabinet: Array) -> None:
    """Tiles behind the counter and the cabinet's face below it, in place."""
    v, u = np.mgrid[0:WORLD_HEIGHT, 0:WORLD_WIDTH].astype(np.float32)
    tile = rng.uniform(22, 44)
    row = np.floor(v / 22)
    grout = np.minimum((u + row * tile / 2) % tile, (v + 2) % 22)
    wall = fill(SHAPE, _pick(rng, PAINTS))
    blend(wall, (120, 116, 110), 0.8 * edge(grout - 1.2))
    above = v < COUNTER_TOP
    world[above] = wall[above]
    below = v > COUNTER_BOTTOM
    face = _wood(rng, SHAPE, cabinet) if rng.random() < 0.5 else fill(SHAPE, cabinet)
    world[below] = 0.72 * face[below]
    world *= (1 - 0.45 * np.exp(-np.abs(v - COUNTER_TOP) / 5) * (v >= COUNTER_TOP))[..., None]
    world *= (1 - 0.6 * np.exp(-(v - COUNTER_BOTTOM) / 9) * (v > COUNTER_BOTTOM))[..., None]
    blend(world, (250, 248, 240), 0.35 * edge(np.abs(v - COUNTER_BOTTOM + 4) - 2.5))


def _slab(u: Array, v: Array, half_width: float, half_height: float, corner: float) -> Array:
    """Signed distance of a rounded rectangle."""
    x, y = np.abs(u) - half_width + corner, np.abs(v) - half_height + corner
    return np.hypot(np.clip(x, 0, None), np.clip(y, 0, None)) + np.minimum(np.maximum(x, y), 0) - corner


def _board(rng: np.random.Generator) -> Sprite:
    """A wooden cutting board with a hole to hang it by."""
    u, v = grid(176, 124)
    distance = np.maximum(_slab(u, v, 82, 55, 12), 5 - np.hypot(u - 68 * rng.choice([-1, 1]), v + 38))
    albedo = _wood(rng, u.shape, _pick(rng, WOODS))
    blend(albedo, (90, 60, 40), 0.3 * edge(np.abs(distance + 9) - 1))
    return lit(albedo, 4 * edge(distance, 3), edge(distance))


def _plate(rng: np.random.Generator) -> Sprite:
    """A round plate with a coloured line on its rim."""
    u, v = grid(150, 136)
    radius = np.hypot(u, v * 1.1)
    albedo = fill(u.shape, rng.uniform(205, 245, 3))
    blend(albedo, rng.uniform(30, 200, 3), edge(np.abs(radius - 63) - 2))
    relief = 3 * edge(radius - 70, 3) + 5 * np.clip((radius - 46) / 12, 0, 1)
    return lit(albedo, relief.astype(np.float32), edge(radius - 70), gloss=0.25)


def _tray(rng: np.random.Generator) -> Sprite:
    """A long tray with raised borders and two grips."""
    u, v = grid(232, 118)
    distance = _slab(u, v, 112, 55, 18)
    albedo = fill(u.shape, _pick(rng, ((150, 156, 162), (46, 48, 54), (176, 60, 52), (70, 120, 132), (190, 160, 110))))
    albedo *= (1 + 0.03 * smooth_noise(rng, u.shape, (0.6, 14)))[..., None]
    blend(albedo, (20, 18, 18), 0.85 * edge(_slab(np.abs(u) - 102, v, 3, 17, 3)))
    return lit(albedo, 8 * edge(np.abs(distance + 6) - 4, 3), edge(distance), gloss=0.2)


def _scatter(rng: np.random.Generator, canvas: Image.Image, spots: list[tuple[float, float]], num_nouns: int, scale: float) -> None:
    """Put untouched nouns and other clutter on the spots, in random order."""
    nouns = rng.choice(list(NOUNS), size=num_nouns, replace=False)
    makers = [NOUNS[noun] for noun in nouns]
    makers += [CLUTTER[i] for i in rng.choice(len(CLUTTER), size=len(spots) - num_nouns, replace=len(spots) - num_nouns > len(CLUTTER))]
    for (x, y), maker in zip(rng.permutation(spots), makers, strict=True):
        thing = turned(maker(rng), rng.uniform(-35, 35), scale * rng.uniform(0.92, 1.08))
        thing.paste(canvas, x + rng.uniform(-7, 7), y + rng.uniform(-5, 5))


def _drawer(rng: np.random.Generator, cabinet: Array) -> Image.Image:
    """The drawer pulled out: dark at the back, wooden inside, things in its corners, the front with a handle nearest."""
    shape = (DRAWER_DEPTH + DRAWER_FRONT, DRAWER_WIDTH)
    v, u = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    inside = _wood(rng, shape, _pick(rng, WOODS) * 0.8)
    inside *= np.interp(v, (0, 34, DRAWER_DEPTH), (0.22, 0.75, 0.95))[..., None]
    side = np.minimum(u, DRAWER_WIDTH - 1 - u)
    inside *= np.interp(side, (0, 7, 8, 24), (1.25, 1.2, 0.45, 1))[..., None]
    image = Image.fromarray(np.clip(inside, 0, 255).astype(np.uint8))
    _scatter(rng, image, [(30, 84), (DRAWER_WIDTH - 30, 84)], 1, 0.62)
    front = fill((DRAWER_FRONT, DRAWER_WIDTH), cabinet)
    front *= np.interp(np.arange(DRAWER_FRONT), (0, 3, 4, DRAWER_FRONT - 1), (1.25, 1.2, 0.95, 0.7))[:, None, None]
    handle = _slab(u[:DRAWER_FRONT] - DRAWER_WIDTH / 2, v[:DRAWER_FRONT] - 13, 34, 4, 4)
    blend(front, rng.uniform(30, 220) * np.ones(3), edge(handle))
    image.paste(Image.fromarray(np.clip(front, 0, 255).astype(np.uint8)), (0, DRAWER_DEPTH))
    return image


def kitchen(rng: np.random.Generator) -> Kitchen:
    """Paint a kitchen: surfaces, colours, clutter and the sides of board and tray are drawn by `rng`."""
    cabinet = _pick(rng, PAINTS + WOODS)
    surface = _counter(rng)
    _walls(rng, surface, cabinet)
    v, u = np.mgrid[0:WORLD_HEIGHT, 0:WORLD_WIDTH].astype(np.float32)
    lamp_x, lamp_y = rng.uniform(80, WORLD_WIDTH - 80), rng.uniform(20, 240)
    surface *= (0.72 + 0.42 * np.exp(-((u - lamp_x) ** 2 + (v - lamp_y) ** 2) / (2 * rng.uniform(150, 260) ** 2)))[..., None]
    world = Image.fromarray(np.clip(surface, 0, 255).astype(np.uint8))

    mirror = bool(rng.random() < 0.5)
    near, far = 140 + rng.uniform(-8, 8), WORLD_WIDTH - 140 + rng.uniform(-8, 8)
    put_on = Place(far if mirror else near, 168 + rng.uniform(-8, 8))
    move_on = Place(near if mirror else far, 172 + rng.uniform(-8, 8))
    target = _board(rng) if rng.random() < 0.5 else _plate(rng)
    turned(target, rng.uniform(-8, 8)).paste(world, put_on.x, put_on.y)
    turned(_tray(rng), rng.uniform(-4, 4)).paste(world, move_on.x, move_on.y)
    _scatter(rng, world, [(60, 78), (140, 76), (220, 80), (300, 76), (380, 78), (446, 82)], 3, 0.68)
    drawer, take_from = _drawer(rng, cabinet), Place(WORLD_WIDTH / 2 + rng.uniform(-14, 14), COUNTER_BOTTOM)
    scene = Kitchen(world, drawer, put_on, move_on, take_from)
    scene.paste_drawer(world, 0, 0, 0)
    return scene
