"""What tests of click refinement by SAM share: a scan of a digital patient, clicks in it, a tiny network of the first SAM."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from OncoLib.image import Image
from OncoLib.phantom.scan import Scan
from OncoLib.phantom.variation import varied_scan
from OncoSegmentLib.refine.prompts import Point
from OncoSegmentLib.refine.protocol import Answer, Question
from OncoSegmentLib.refine.raster import ras_of

SEED = 30_400
LIVER_MM = ((-10.0, 150.0), (-60.0, 110.0), (155.0, 230.0))


def need_sam() -> None:
    """Skips where the packages of SAM 2.1 are missing."""
    for name in ("torch", "sam2", "hydra"):
        pytest.importorskip(name, reason=f"SAM 2.1 needs the package {name}: install the extra 'sam'")


@lru_cache(maxsize=2)
def liver_scan(spacing_mm: tuple[float, float, float] = (2.0, 2.0, 5.0)) -> Scan:
    """The liver of a digital patient with metastases that no training saw; not to be changed."""
    return varied_scan(SEED, region=LIVER_MM, spacing_mm=spacing_mm, samples=(2, 2, 1))


def mask_of(scan: Scan, structure: str) -> np.ndarray:
    """Its largest segment of that structure."""
    return max((scan.truth.mask(one) for one in scan.truth.segments if one.structure == structure), key=np.sum)


def inside(image: Image, mask: np.ndarray) -> Point:
    """A click on the voxel of a mask that lies deepest."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=image.spacing_kji_mm)[1:-1, 1:-1, 1:-1]
    return click(image, np.unravel_index(depth.argmax(), depth.shape))


def click(image: Image, kji, positive: bool = True) -> Point:
    """A click on a voxel."""
    return Point(tuple(float(one) for one in ras_of(image, [kji])[0]), positive)


def whole_answer(image: Image, question: Question, answer: Answer) -> np.ndarray:
    """An answer on the whole grid."""
    found = np.zeros(image.shape_kji, bool) if question.start is None else question.start.copy()
    found[answer.part] = answer.mask
    return found


def tiny_sam():
    """A network of segment_anything of 0.2 million random numbers with pictures of 64 pixels."""
    import torch
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    torch.manual_seed(3)
    encoder = ImageEncoderViT(
        img_size=64, patch_size=16, embed_dim=32, depth=2, num_heads=2, out_chans=32, use_rel_pos=True, window_size=2,
        global_attn_indexes=[1],
    )  # fmt: skip
    transformer = TwoWayTransformer(depth=2, embedding_dim=32, mlp_dim=64, num_heads=2)
    return Sam(
        encoder,
        PromptEncoder(embed_dim=32, image_embedding_size=(4, 4), input_image_size=(64, 64), mask_in_chans=8),
        MaskDecoder(num_multimask_outputs=3, transformer=transformer, transformer_dim=32, iou_head_hidden_dim=32),
        pixel_mean=[123.675, 116.28, 103.53],
        pixel_std=[58.395, 57.12, 57.375],
    ).eval()


def saved(state: dict, path: Path) -> Path:
    """A checkpoint as SAM 2.1's are."""
    import torch

    torch.save({"model": state}, path)
    return path
