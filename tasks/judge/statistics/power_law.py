"""Fit power laws with a floor to the errors of a learning curve.

Legend: r curves, p numbers of training clips.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXPONENTS = np.geomspace(0.05, 1, 12)
"""Candidates for the exponent. Networks show 0.07 to 0.35, and theory expects 0.5 or 1 (Hestness et al. 2017, arXiv 1712.00409)."""


@dataclass(frozen=True)
class PowerLaws:
    """Errors `floor + scale * share ** -exponent` of r curves, each parameter (r,).

    `share` is the number of clips as a share of all training clips. Neither floor nor scale is negative, so an error never rises with more
    clips and never falls below the floor.
    """

    floor: Floats
    scale: Floats
    exponent: Floats

    def error(self, share: float) -> Floats:
        """Return the error (r,) at a share of the training clips, which may exceed 1."""
        return self.floor + self.scale * share**-self.exponent

    def gain(self, share: float) -> Floats:
        """Return by how much the error (r,) falls from all training clips to `share` of them, at least 1."""
        return self.scale * (1 - share**-self.exponent)


def fit_power_laws(errors: Floats, shares: Floats) -> PowerLaws:
    """Fit each curve by least squares, weighted by the share, over all `EXPONENTS`.

    Small shares weigh less: a few clips vary more from draw to draw, and the law holds only once most classes are seen. For a given exponent,
    floor and scale have a closed form, so that a bootstrap can fit thousands of curves.

    Args:
        errors: (r, p) from 0 to 1.
        shares: (p,) in rising order, the last one 1; p at least 3.
    """
    lowest = np.full(len(errors), np.inf)
    best = np.zeros((3, len(errors)))
    mean_error = np.average(errors, axis=1, weights=shares)
    for exponent in EXPONENTS:
        x = shares**-exponent
        mean_x = np.average(x, weights=shares)
        scale = ((errors - mean_error[:, None]) * (x - mean_x) * shares).sum(1) / ((x - mean_x) ** 2 * shares).sum()
        floor = mean_error - scale * mean_x
        rises, sinks = scale < 0, floor < 0
        scale = np.where(rises, 0, np.where(sinks, (errors * x * shares).sum(1) / (x**2 * shares).sum(), scale))
        floor = np.where(rises, mean_error, np.where(sinks, 0, floor))
        squares = ((errors - floor[:, None] - scale[:, None] * x) ** 2 * shares).sum(1)
        # Rounding must not decide between exponents that fit equally well.
        is_better = squares < lowest - 1e-12
        lowest = np.where(is_better, squares, lowest)
        best = np.where(is_better, np.stack([floor, scale, np.full(len(errors), exponent)]), best)
    return PowerLaws(*best)
