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
    count, width = index.shape
    # Radii come first and directions last, so that one step works on all messages that lie side by side.
    from_whom = (back.T * count + index.T).reshape(-1)
    silent = ~real.T
    score = np.ascontiguousarray(score.T, dtype=np.float32)
    heard = np.zeros((len(score), width, count), np.float32)
    for _round in range(ROUNDS):
        told = spread((score + heard.sum(axis=1))[:, None, :] - heard, stiffness)
        told -= told.max(axis=0)
        heard += told.reshape(len(score), -1).take(from_whom, axis=1).reshape(heard.shape)
        heard *= np.float32(0.5)
        heard[:, silent] = 0
    return (score + heard.sum(axis=1)).argmax(axis=0)


def spread(values: np.ndarray, stiffness: float) -> np.ndarray:
    """Along the first axis: the largest of all values less the cost of the way to them, `MOST_STEPS` at most.

    Steps of 1, 2, 4 and 8 one after another reach every distance up to 15 at its own cost.
    """
    found = values.copy()
    for step in (1, 2, 4, 8):
        before = found - np.float32(step * stiffness)
        np.maximum(found[step:], before[:-step], out=found[step:])
        np.maximum(found[:-step], before[step:], out=found[:-step])
    return np.maximum(found, values.max(axis=0) - np.float32(stiffness * MOST_STEPS), out=found)
