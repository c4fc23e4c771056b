"""SAM 2.1 as a network of slices: pictures in, features out; prompts and features in, a mask's logits out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from OncoSegmentLib.refine.sam.slice_prompts import NetworkPrompts

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue, as the package's `SAM2Transforms` has them."""

LIMIT = 32.0
"""Logits that go back in as a prompt are held within it, as the package's predictors do."""


def fitted(pictures, size: int):
    """Pictures `[n, 1, rows, columns]` of 0..255 as 0..1 in so many pixels a side, as the package's transforms resize."""
    from torch.nn.functional import interpolate

    pictures = pictures.float() / 255
    if pictures.shape[-2:] == (size, size):
        return pictures
    return interpolate(pictures, (size, size), mode="bilinear", antialias=True, align_corners=False)


def normalized(pictures, mean=MEAN, deviation=DEVIATION):
    """Gray pictures `[..., 1, size, size]` of 0..1 as three colors in the network's scale."""
    mean, deviation = (pictures.new_tensor(one).reshape(3, 1, 1) for one in (mean, deviation))
    return (pictures - mean) / deviation


def spread(logits, rows: int, columns: int) -> np.ndarray:
    """Logits `[h, w]` as float32 `[rows, columns]`, as the package's predictors bring masks back to a picture."""
    from torch.nn.functional import interpolate

    found = interpolate(logits[None, None].float(), (rows, columns), mode="bilinear", align_corners=False)
    return found[0, 0].cpu().numpy()


class Sam2Network:
    """A predictor with its weights.

    name, sha256: of the weights. size: pixels of a picture's side. kinds: of prompts in a slice. chained: which of box, point
    and mask a slice is told of the one before, where slices are followed without memory. memory: True, it follows by memory.
    notice: what the reader must see before use; caution: what each answer must say; "" for nothing.
    """

    kinds = ("point", "box")
    chained = ("box", "point", "mask")
    memory = True
    notice = caution = ""

    def __init__(self, predictor, name: str, sha256: str) -> None:
        self.predictor, self.name, self.sha256 = predictor, name, sha256
        self.size: int = predictor.image_size
        self._positions: list | None = None

    @property
    def settings(self) -> tuple:
        """What else than the weights and the picture decides about features."""
        return ("sam2", self.size)

    def features(self, picture: np.ndarray) -> tuple:
        """Feature maps of a picture, uint8 `[rows, columns]`, finest first. One picture at a time: what stands beside one in a
        batch changes its last bits."""
        import torch

        with torch.inference_mode():
            tensor = fitted(torch.from_numpy(picture)[None, None].to(self.predictor.device), self.size)
            maps, positions = self.predictor.encoded(normalized(tensor))
        self._positions = self._positions or positions
        return tuple(maps)

    def placed(self, maps: tuple) -> tuple[tuple, list]:
        """Kept feature maps as the predictor takes them, with their positions."""
        return tuple(one.to(self.predictor.device).float() for one in maps), self._positions_of(maps)

    def _positions_of(self, maps: tuple) -> list:
        """They depend on the sizes alone, so that features from a disk need no encoding."""
        if self._positions is None:
            import torch

            neck = self.predictor.image_encoder.neck
            with torch.inference_mode():
                empty = [torch.empty(1, 1, *one.shape[-2:], device=self.predictor.device) for one in maps]
                self._positions = [neck.position_encoding(one) for one in empty]
        return self._positions

    def follow(self, slices: int, features: Callable[[int], tuple]) -> Follower:
        """Starts to follow a structure. features: kept feature maps of a slice."""
        return Follower(self, slices, features)

    def decoded(self, maps: tuple, prompts: NetworkPrompts, prior=None):
        """Logits `[h, w]` of a slice from its prompts alone. prior: logits that are a prompt, too."""
        import torch

        model = self.predictor
        with torch.inference_mode():
            maps, _ = self.placed(maps)
            points, labels = self._points(prompts)
            sparse, dense = model.sam_prompt_encoder(points=(points, labels), boxes=None, masks=within(prior))
            several = model.multimask_output_in_sam and labels.shape[1] == 1 and prior is None
            logits, quality, _, present = model.sam_mask_decoder(
                image_embeddings=maps[-1] + model.no_mem_embed.reshape(1, -1, 1, 1),
                image_pe=model.sam_prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=several,
                repeat_image=False,
                high_res_features=list(maps[:-1]),
            )
            found = logits[0, quality[0].argmax()]
            return found if bool(present[0, 0] > 0) else torch.full_like(found, -LIMIT)

    def _points(self, prompts: NetworkPrompts):
        import torch

        device = self.predictor.device
        points, labels = prompts.as_points()
        places = torch.tensor(points, dtype=torch.float32, device=device)
        return places[None], torch.tensor(labels, dtype=torch.int32, device=device)[None]


def within(prior):
    """Logits as a prompt `[1, 1, h, w]`."""
    return None if prior is None else prior.clamp(-LIMIT, LIMIT)[None, None]


class Follower:
    """A structure on its way through the slices, by the package's video predictor and its memory."""

    def __init__(self, network: Sam2Network, slices: int, features: Callable[[int], tuple]) -> None:
        self._network = network
        self._state = network.predictor.begin(slices, lambda number: network.placed(features(number)))

    def prompted(self, number: int, prompts: NetworkPrompts):
        """Logits `[h, w]` of a slice by its prompts, by what was followed so far, and by its mask if it was given one."""
        size = self._network.size
        points = prompts.points / size if len(prompts.points) else None
        labels = prompts.labels if points is not None else None
        box = None if prompts.box is None else prompts.box / size
        return self._network.predictor.prompted(self._state, number, points, labels, box)

    def masked(self, number: int, mask: np.ndarray) -> None:
        """Takes a mask, bool `[rows, columns]` of the view, for what the slice holds."""
        import torch

        self._network.predictor.masked(self._state, number, torch.from_numpy(np.ascontiguousarray(mask)))

    def tracked(self, number: int, reverse: bool):
        """Logits `[h, w]` of a slice by what was followed so far."""
        return self._network.predictor.tracked(self._state, number, reverse)
