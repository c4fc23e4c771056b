"""The best closed surface around a click: one radius a direction, by what each ray says and what its neighbors do."""

from __future__ import annotations

import numpy as np

from OncoSegmentLib.refine.growing.directions import neighbors

ROUNDS = 8
MOST_STEPS = 12
"""A jump between neighbors costs as much as one of this many radii at most: real corners exist."""


def best_surface(score: np.ndarray, stiffness: float) -> np.ndarray:
    """Index of the best radius of each direction `[162]`, for `score[162, radii]` (higher is better).

    The sum of scores less `stiffness` for each step of radius between neighbors, found by passing messages between neighbors
    (max-sum with a truncated linear cost: Felzenszwalb and Huttenlocher, "Efficient belief propagation for early vision",
    Int. J. Comput. Vis. 70, 2006), damped by half, a fixed number of rounds.
    """
    index, real, back = neighbors()
    score = score.astype(np.float32)
    heard = np.zeros((*index.shape, score.shape[1]), np.float32)
    for _round in range(ROUNDS):
        belief = score + heard.sum(axis=1)
        told = spread(belief[:, None, :] - heard, stiffness)
        told -= told.max(axis=-1, keepdims=True)
        heard += told[index, back]
        heard *= np.float32(0.5)
        heard[~real] = 0
    return (score + heard.sum(axis=1)).argmax(axis=1)


def spread(values: np.ndarray, stiffness: float) -> np.ndarray:
    """Along the last axis: the largest of all values less the cost of the way to them, `MOST_STEPS` at most.

    Steps of 1, 2, 4 and 8 one after another reach every distance up to 15 at its own cost.
    """
    found = values.copy()
    for step in (1, 2, 4, 8):
        before = found.copy()
        np.maximum(found[..., step:], before[..., :-step] - np.float32(step * stiffness), out=found[..., step:])
        np.maximum(found[..., :-step], before[..., step:] - np.float32(step * stiffness), out=found[..., :-step])
    return np.maximum(found, values.max(axis=-1, keepdims=True) - np.float32(stiffness * MOST_STEPS), out=found)
