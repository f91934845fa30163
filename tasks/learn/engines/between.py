"""Score the windows between two consecutive clips, and compute what they have in common once."""

# k: crops, t: segments, f: features, h, w: pixels

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks.learn.consensus import Logits
from tasks.learn.crops import Frames
from tasks.learn.engines.engine import Engine
from tasks.learn.engines.scorer import Scorer
from tasks.learn.sampling import frames_in_test
from tasks.learn.snippets import snippets_in_test
from tasks.learn.windows import WindowGrid, further_frames, sees_single_frames, window_frames

Own = Mapping[int, Any]
"""What a network needs of one clip, by frame: its features (k, f), or the frame (h, w, 3) if features are not of single frames."""

Noted = tuple[Own, ...]
"""The same for each network."""


@dataclass(frozen=True)
class BetweenClips:
    """Scores windows of a film as `scorer` would score clips cut there. All its networks must slide."""

    scorer: Scorer
    grid: WindowGrid

    def note(self, num_frames: int, features: Sequence[Tensor], further: Sequence[Frames]) -> Noted:
        """Keep what windows need of one clip, for each network.

        Args:
            num_frames: of the clip.
            features: (k, t, f) of its test, as of `Scorer.see`.
            further: uint8 (n, h, w, 3), the frames that `further_frames` lists.
        """
        given = zip(self.scorer.engines, features, further, strict=True)
        return tuple(self._note(engine, num_frames, own, more) for engine, own, more in given)

    def logits(self, first: Noted, second: Noted, num_second_frames: int) -> Iterator[tuple[int, Logits]]:
        """Score the windows that begin within one clip and end within the next.

        Args:
            first: of a clip with all its frames.
            second: of the next one.
            num_second_frames: of the next one, which may be shorter.

        Yields:
            the frame of the first clip at which a window begins, and its logits.
        """
        for offset in self.grid.offsets:
            if offset <= num_second_frames:
                networks = zip(self.scorer.engines, first, second, strict=True)
                yield offset, self.scorer.answer([self._see(offset, engine, (one, other)) for engine, one, other in networks])

    def _note(self, engine: Engine, num_frames: int, features: Tensor, further: Frames) -> Own:
        spec = engine.network.spec
        numbers = further_frames(num_frames, spec, self.grid)
        if not sees_single_frames(spec):
            return dict(zip(numbers, further, strict=True))
        found = dict(zip(frames_in_test(num_frames, spec), features.unbind(1), strict=True))
        # Engines take as many frames at once as a clip has segments; the last ones are filled up.
        for start in range(0, len(numbers), spec.num_segments):
            batch = further[start : start + spec.num_segments]
            filled = np.concatenate([batch, np.repeat(batch[-1:], spec.num_segments - len(batch), axis=0)])
            found.update(zip(numbers[start : start + spec.num_segments], engine.see(filled).unbind(1), strict=False))
        return found

    def _see(self, offset: int, engine: Engine, clips: tuple[Own, Own]) -> Tensor:
        """Give the features of a window, (k, t, f)."""
        spec = engine.network.spec
        seen = [clips[number][frame] for number, frame in window_frames(offset, spec, self.grid)]
        if sees_single_frames(spec):
            return torch.stack(seen, dim=1)
        return engine.see(snippets_in_test(np.stack(seen), spec))
