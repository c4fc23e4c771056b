"""Class scores of a network's tiles, weighted and added up on the CPU as nnU-Net (2.8, `predict_from_raw_data`) does it.

The numbers are nnU-Net's, bit for bit: products and sums in single precision, each sum rounded to half precision where it is
kept. It works on all classes of a tile at once and makes arrays of that size on the way; one class at a time stays in the
processor's cache, which took 0.10 s in place of 0.69 s a tile with 118 classes of 96x96x96.
"""

from __future__ import annotations

from OncoSegmentLib.experts.nnunet.precision import computed_in


def tile_scores(predictor, image):
    """The network's scores of one tile `[1, channel, ...]` with its mirrored passes: torch `[class, ...]`.

    nnU-Net's own method is taken, past ours, which tells tiles of nnU-Net's loop.
    """
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    with computed_in(predictor):
        scores = nnUNetPredictor._internal_maybe_mirror_and_predict(predictor, image)[0]
    return scores.float() if predictor.bfloat16 else scores


def weights_of_tile(predictor, device):
    """How much each voxel of a tile counts, half precision."""
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian

    patch = tuple(predictor.configuration_manager.patch_size)
    return compute_gaussian(patch, sigma_scale=1.0 / 8, value_scaling_factor=10, device=device)


def add_tile(sums, scores, gaussian) -> None:
    """Adds the weighted scores of a tile to its part of the sums, both `[class, ...]`; the scores are used up."""
    if sums.device.type != "cpu":
        scores *= gaussian
        sums += scores
        return
    weights = gaussian.to(scores.dtype)
    for kept, one in zip(sums, scores):
        one.mul_(weights)
        one.add_(kept)
        kept.copy_(one)


def divide(sums, weights) -> None:
    """Means of sums `[class, k, ...]`, in place, class by class; weights: `[k, ...]`, or more rows.

    RuntimeError for scores that half precision cannot hold, and for those that are no numbers, with which nnU-Net would go on.
    """
    import torch

    weights = weights[: sums.shape[1]]
    for one in sums:
        torch.div(one, weights, out=one)
        if not all(torch.isfinite(end) for end in torch.aminmax(one)):
            raise RuntimeError("class scores are no numbers, or too large for half precision")


def scores_on_cpu(predictor, data, tiles):
    """Mean class scores of a whole padded image, half precision `[class, ...]`; data: `[channel, ...]`, tiles: its parts."""
    import torch

    heads = predictor.label_manager.num_segmentation_heads
    sums = torch.zeros((heads, *data.shape[1:]), dtype=torch.half)
    weights = torch.zeros(data.shape[1:], dtype=torch.half)
    gaussian = weights_of_tile(predictor, sums.device)
    for done, tile in enumerate(tiles):
        predictor.on_tile(done, len(tiles))
        add_tile(sums[tile], tile_scores(predictor, data[tile][None].contiguous()), gaussian)
        weights[tile[1:]] += gaussian
    divide(sums, weights)
    return sums
