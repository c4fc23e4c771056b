"""Networks of the first SAM, MedSAM and MobileSAM among them, as networks of slices: no memory, each slice by its prompts."""

from __future__ import annotations

import numpy as np

from OncoSegmentLib.refine.sam.sam2_network import fitted, normalized, within
from OncoSegmentLib.refine.sam.slice_prompts import NetworkPrompts

MEAN, DEVIATION = (123.675 / 255, 116.28 / 255, 103.53 / 255), (58.395 / 255, 57.12 / 255, 57.375 / 255)
"""Of red, green and blue, as segment_anything's `Sam` has them for values up to 255."""


class Sam1Network:
    """A `Sam` of segment_anything, or of a package with the same parts, with its weights.

    boxes_only: as MedSAM, which takes nothing but boxes, and pictures from 0 to 1 as they are (MedSAM_Inference.py of its
    repository).
    """

    memory = False
    notice = caution = ""

    def __init__(self, model, name: str, sha256: str, boxes_only: bool = False) -> None:
        self.model, self.name, self.sha256 = model, name, sha256
        self.size: int = model.image_encoder.img_size
        self.boxes_only = boxes_only
        self.kinds = ("box",) if boxes_only else ("point", "box")
        self.chained = ("box",) if boxes_only else ("box", "point", "mask")

    @property
    def settings(self) -> tuple:
        """What else than the weights and the picture decides about features."""
        return ("sam", self.size, self.boxes_only)

    @property
    def device(self):
        """Where it computes."""
        return next(self.model.parameters()).device

    def features(self, picture: np.ndarray) -> tuple:
        """The feature map of a picture, uint8 `[rows, columns]`."""
        import torch

        with torch.inference_mode():
            tensor = fitted(torch.from_numpy(picture)[None, None].to(self.device), self.size)
            colors = tensor.expand(-1, 3, -1, -1) if self.boxes_only else normalized(tensor, MEAN, DEVIATION)
            return (self.model.image_encoder(colors),)

    def decoded(self, maps: tuple, prompts: NetworkPrompts, prior=None):
        """Logits `[h, w]` of a slice from its prompts alone. prior: logits that are a prompt, too."""
        import torch

        with torch.inference_mode():
            points, box = None, None
            if len(prompts.points):
                points = (self._tensor(prompts.points)[None], self._tensor(prompts.labels)[None])
            if prompts.box is not None:
                box = self._tensor(prompts.box)[None]
            sparse, dense = self.model.prompt_encoder(points=points, boxes=box, masks=None if self.boxes_only else within(prior))
            several = not self.boxes_only and box is None and prior is None and len(prompts.points) == 1
            logits, quality = self.model.mask_decoder(
                image_embeddings=maps[0].to(self.device).float(),
                image_pe=self.model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=several,
            )
            return logits[0, quality[0].argmax()]

    def _tensor(self, values: np.ndarray):
        import torch

        return torch.tensor(values, dtype=torch.float32, device=self.device)
