"""The nouns of the sample videos (meat, bag, sauce, potato) and the clutter that lies about, each a little different every time."""

from collections.abc import Callable

import numpy as np

from tests.films.sprites import Array, Sprite, blend, edge, fill, grid, lit, smooth_noise

Rng = np.random.Generator


def meat(rng: Rng) -> Sprite:
    """A raw steak: red, marbled, with a rim of fat."""
    u, v = grid(112, 92)
    angle, radius = np.arctan2(v, u), np.hypot(u / 1.25, v)
    outline = rng.uniform(31, 35) * np.ones_like(u)
    for harmonic in (2, 3, 4, 5):
        outline += rng.uniform(-3.2, 3.2) / (harmonic / 2) * np.cos(harmonic * angle + rng.uniform(0, 6.3))
    depth = outline - radius
    rim = rng.uniform(3.5, 5.5) + 3.5 * np.clip(np.cos(angle - rng.uniform(0, 6.3)), 0, 1)
    albedo = fill(u.shape, (rng.uniform(165, 205), rng.uniform(38, 62), rng.uniform(45, 66)))
    albedo *= (1 + 0.09 * smooth_noise(rng, u.shape, 9))[..., None]
    veins = np.exp(-np.abs(smooth_noise(rng, u.shape, 6) + 0.3 * smooth_noise(rng, u.shape, 2.5)) / 0.11)
    blend(albedo, (240, 196, 188), 0.8 * veins)
    blend(albedo, (246, 226, 200), edge(depth - rim + 0.8 * smooth_noise(rng, u.shape, 3), 1))
    relief = 9 * np.sqrt(np.clip(depth / 12, 0, 1)) + 0.2 * smooth_noise(rng, u.shape, 3)
    return lit(albedo, relief, edge(-depth), gloss=0.25)


def _lumps(rng: Rng, u: Array, v: Array, centres: list[tuple[float, float]]) -> tuple[Array, Array]:
    """Relief and signed distance of ovals with dents."""
    relief, distance = np.zeros_like(u), np.full_like(u, 1e3)
    for x, y in centres:
        turn, long, short = rng.uniform(-0.9, 0.9), rng.uniform(25, 30), rng.uniform(18.5, 21.5)
        a = (u - x) * np.cos(turn) + (v - y) * np.sin(turn)
        b = -(u - x) * np.sin(turn) + (v - y) * np.cos(turn)
        radius = np.sqrt((a / long) ** 2 + (b / short) ** 2) * (1 + 0.05 * np.cos(3 * np.arctan2(b, a) + rng.uniform(0, 6.3)))
        height = short * 0.85 * np.sqrt(np.clip(1 - radius**2, 0, None))
        # The nearer potato hides the farther one, and a dark seam parts them.
        relief = np.where(radius < 1, np.maximum(height, relief * 0.4), relief)
        distance = np.minimum(distance, (radius - 1) * short)
    return relief.astype(np.float32), distance


def potato(rng: Rng) -> Sprite:
    """Two potatoes, brown and lumpy, with eyes and specks."""
    u, v = grid(112, 88)
    side = rng.choice([-1, 1])
    relief, distance = _lumps(rng, u, v, [(-15 * side, -9), (15 * side, 8)])
    albedo = fill(u.shape, np.array([rng.uniform(178, 208), rng.uniform(134, 158), rng.uniform(74, 98)]) * rng.uniform(0.82, 1.05))
    albedo *= (1 + 0.08 * smooth_noise(rng, u.shape, 7) + 0.05 * smooth_noise(rng, u.shape, 1.2))[..., None]
    blend(albedo, (96, 66, 36), 0.75 * (smooth_noise(rng, u.shape, 0.9) > 2.5).astype(np.float32))
    for _ in range(13):
        x, y = rng.uniform(-40, 40), rng.uniform(-28, 28)
        eye = np.exp(-(((u - x) / 2.8) ** 2 + ((v - y) / 1.7) ** 2))
        blend(albedo, (84, 56, 30), 0.85 * eye)
        relief -= 2.0 * eye * (relief > 0)
    return lit(albedo, relief + 0.3 * smooth_noise(rng, u.shape, 3), edge(distance))


SAUCES = ((176, 28, 22), (214, 160, 28), (70, 36, 20), (196, 78, 24), (92, 110, 40))
CAPS = ((238, 236, 228), (40, 110, 60), (190, 30, 30), (34, 34, 38), (230, 190, 50))


def sauce(rng: Rng) -> Sprite:
    """A bottle of sauce with its cap and a printed label."""
    u, v = grid(60, 128)
    body, neck = rng.uniform(19, 22), rng.uniform(7, 9)
    shoulder = rng.uniform(-26, -18)
    half = np.interp(v, (-60, -59, -44, -43.5, shoulder - 14, shoulder, 56, 60), (0, neck + 2, neck + 2, neck, neck, body, body, body - 4))
    relief = np.sqrt(np.clip(half**2 - u**2, 0, None)).astype(np.float32)
    albedo = fill(u.shape, np.array(SAUCES[rng.integers(len(SAUCES))]) * rng.uniform(0.85, 1.15))
    blend(albedo, CAPS[rng.integers(len(CAPS))], edge(v + 43.5))
    blend(albedo, (30, 20, 16), 0.35 * edge(v + 43.5) * (np.cos(u * 2.6) > 0.5))
    top, bottom = shoulder + rng.uniform(8, 13), rng.uniform(38, 46)
    label = edge(np.maximum(top - v, v - bottom))
    blend(albedo, (244, 240, 226), label)
    band = rng.uniform(40, 220, 3)
    blend(albedo, band, label * edge(np.abs(v - top - 8) - 4))
    blend(albedo, band, label * edge(np.hypot(u - rng.uniform(-3, 3), v - (top + bottom) / 2 - 4) - 8))
    for line in np.arange(bottom - 12, bottom - 2, 3.5):
        blend(albedo, (70, 62, 58), 0.8 * label * edge(np.maximum(np.abs(v - line) - 0.7, np.abs(u) - rng.uniform(6, 12))))
    return lit(albedo, relief, edge(np.where(np.abs(v) > 60, 9, np.abs(u) - half)), gloss=0.75)


BAGS = ((196, 152, 102), (178, 134, 88), (226, 220, 208), (206, 170, 120))


def bag(rng: Rng) -> Sprite:
    """A crumpled paper bag with a dark, jagged mouth, sometimes printed."""
    u, v = grid(100, 116)
    half = 36 + 0.11 * v + 1.6 * smooth_noise(rng, u.shape, (7, 40))
    top = -46 + 3.2 * (np.abs((u / 5 + rng.uniform(0, 2)) % 2 - 1) * 2 - 1)
    bottom = 48 + 1.3 * smooth_noise(rng, u.shape, (40, 7))
    distance = np.maximum(np.abs(u) - half, np.maximum(top - v, v - bottom))
    # Creases: valleys where slow noise crosses zero; facets: their flat sides.
    folds = sum(np.abs(smooth_noise(rng, u.shape, sigma)) * sigma for sigma in (12, 7, 4))
    relief = 0.24 * np.asarray(folds, dtype=np.float32) + 7 * np.sqrt(np.clip(-distance / 14, 0, 1))
    albedo = fill(u.shape, np.array(BAGS[rng.integers(len(BAGS))]) * rng.uniform(0.88, 1.08))
    albedo *= (1 + 0.03 * smooth_noise(rng, u.shape, 1))[..., None]
    mouth = np.hypot(u / (rng.uniform(26, 30)), (v + 38) / rng.uniform(5.5, 8)) - 1
    if rng.random() < 0.5:
        blend(albedo, rng.uniform(30, 170, 3), 0.75 * edge(np.abs(np.hypot(u, v - 10) - 14) - 2.5))
    blend(albedo, np.array([52, 36, 24]), 0.9 * edge(mouth * 6, 1))
    blend(albedo, (120, 88, 56), 0.5 * edge(np.abs(u - half * 0.72 * rng.choice([-1, 1])) - 0.8))
    return lit(albedo, relief, edge(distance))


NOUNS: dict[str, Callable[[Rng], Sprite]] = {"meat": meat, "bag": bag, "sauce": sauce, "potato": potato}


def mug(rng: Rng) -> Sprite:
    """A mug seen from above."""
    u, v = grid(64, 56)
    radius = np.hypot(u + 5, v)
    handle = np.abs(np.hypot(u - 17, v) - 8) - 2.5
    albedo = fill(u.shape, rng.uniform(60, 240, 3))
    blend(albedo, (60, 36, 20) if rng.random() < 0.6 else (236, 232, 224), edge(radius - 16.5))
    relief = 8 * edge(np.abs(radius - 19) - 2, 2) + 4 * edge(handle, 2)
    return lit(albedo, relief, edge(np.minimum(radius - 22, handle)), gloss=0.4)


def bowl(rng: Rng) -> Sprite:
    """A bowl seen from above."""
    u, v = grid(84, 84)
    radius = np.hypot(u, v)
    albedo = fill(u.shape, rng.uniform(110, 240, 3))
    blend(albedo, rng.uniform(60, 230, 3), edge(np.abs(radius - 33) - 1.5))
    relief = np.where(radius < 36, (radius / 9) ** 2, 16 - (radius - 36) * 3).astype(np.float32)
    return lit(albedo, relief, edge(radius - 38), gloss=0.3)


def knife(rng: Rng) -> Sprite:
    """A kitchen knife."""
    u, v = grid(30, 124)
    handle = np.maximum(np.abs(u) - 5, np.abs(v - 38) - 20)
    blade = np.maximum(np.maximum(-5 - u, u - np.interp(v, (-58, -20, 18), (-4, 7, 8))), np.abs(v + 20) - 38)
    albedo = fill(u.shape, (196, 200, 206))
    blend(albedo, rng.uniform(20, 110, 3), edge(handle))
    return lit(albedo, 3 * edge(np.minimum(handle, blade), 2) + u * 0.15, edge(np.minimum(handle, blade)), gloss=0.3)


def tomato(rng: Rng) -> Sprite:
    """A tomato with its green star."""
    u, v = grid(52, 52)
    radius, angle = np.hypot(u, v * 1.08), np.arctan2(v, u)
    albedo = fill(u.shape, (rng.uniform(196, 226), rng.uniform(40, 66), 36))
    blend(albedo, (70, 128, 46), edge(radius - 5 - 5 * np.cos(5 * angle + rng.uniform(0, 6.3))))
    return lit(albedo, np.sqrt(np.clip(21**2 - radius**2, 0, None)) * 0.9, edge(radius - 21), gloss=0.6)


CLUTTER: tuple[Callable[[Rng], Sprite], ...] = (mug, bowl, knife, tomato)
