"""Trains the demonstration network of click refinement: a small SAM 2.1 on varied reference patients, on the CPU, seeded.

    python Testing/tools/train_demo_sam.py                      writes ModelManagerLib/Resources/Models/demo-sam
    python Testing/tools/train_demo_sam.py --output DIR         elsewhere
    python Testing/tools/train_demo_sam.py --cases 1 --steps 2 --clips 1 --held-out 1     only tries the way

It needs the packages of `make test`. The network is made of the package's own classes, smaller; pictures, windows, squares and
pixels of prompts are those of the engine. First single slices with clicks or a box, then clips of slices with memories.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from demo_training import (
    HELD_OUT,
    LICENSE,
    MODELS,
    ROOT,
    TRAINING,
    compared,
    finish,
    half,
    scratch,
    seeded,
    summary,
    written,
)  # fmt: skip

sys.path.append(str(ROOT / "Testing"))

from OncoLib.image import Image
from OncoLib.phantom.regions import mask_of
from OncoLib.phantom.variation import varied_brain, varied_scan
from OncoSegmentLib.refine.sam.sam2_config import built, for_size
from OncoSegmentLib.refine.sam.stack import Stack, stack_of
from OncoSegmentLib.refine.sam.views import View, around, extent_mm, whole
from OncoSegmentLib.refine.sam.windows import Window, window_at

ID = "demo-sam"
BASE = "sam2.1_hiera_t"
SIZE, WIDTH, MEMORY = 256, 64, 32
SPACING_MM, BRAIN_SPACING_MM = (1.8, 1.8, 4.0), (1.5, 1.5, 3.0)

CHANGES = {
    **for_size(SIZE),
    "image_encoder.trunk.embed_dim": 24,
    "image_encoder.trunk.stages": [1, 1, 2, 1],
    "image_encoder.trunk.global_att_blocks": [3],
    "image_encoder.neck.d_model": WIDTH,
    "image_encoder.neck.position_encoding.num_pos_feats": WIDTH,
    "image_encoder.neck.backbone_channel_list": [192, 96, 48, 24],
    "memory_attention.d_model": WIDTH,
    "memory_attention.num_layers": 1,
    "memory_attention.layer.d_model": WIDTH,
    "memory_attention.layer.dim_feedforward": 128,
    "memory_attention.layer.dropout": 0.0,
    "memory_attention.layer.self_attention.embedding_dim": WIDTH,
    "memory_attention.layer.self_attention.dropout": 0.0,
    "memory_attention.layer.cross_attention.embedding_dim": WIDTH,
    "memory_attention.layer.cross_attention.kv_in_dim": MEMORY,
    "memory_attention.layer.cross_attention.dropout": 0.0,
    "memory_encoder.out_dim": MEMORY,
    "memory_encoder.position_encoding.num_pos_feats": MEMORY,
    "memory_encoder.fuser.layer.dim": WIDTH,
    "memory_encoder.fuser.num_layers": 1,
    "memory_encoder.in_dim": WIDTH,
    "memory_encoder.mask_downsampler.embed_dim": WIDTH,
    "image_encoder.trunk.window_spec": [8, 4, 8, 4],
    "multimask_output_in_sam": False,
    "multimask_output_for_tracking": False,
    "use_multimask_token_for_obj_ptr": False,
    "sam_mask_decoder_extra_args.dynamic_multimask_via_stability": False,
}
"""Of the package's smallest configuration: its classes stay, their sizes shrink. One mask a prompt, not three to choose from."""


LESIONS = ("lung_nodule", "liver_metastasis", "vertebra_metastasis", "brain_neoplasm")
ORGANS = (
    "liver", "lung", "spleen", "kidney", "heart", "aorta", "stomach", "urinary_bladder", "pancreas", "gallbladder",
    "brain_lesion", "brain_ventricle",
)  # fmt: skip
BONES = ("vertebra_t", "vertebra_l", "hip_bone", "femur", "sacrum")
KINDS = (LESIONS, ORGANS, BONES)
"""Take turns, so that many bones do not crowd out few lesions."""

BATCH, CLIPS, FRAMES = 6, 3, 4
RATE, WARM_UP = 8e-4, 40
FINE = 128
"""Pixels a side on which losses are computed."""

LEAST_PIXELS, LEAST_VOXELS = 6, 30
"""Of a structure in a slice that is shown to the network, and of one that is evaluated: 30 voxels are 0.4 ml, a ball of 9 mm."""

EVALUATED = (
    "liver", "spleen", "kidney", "urinary_bladder", "heart", "gallbladder", "liver_metastasis", "lung_nodule",
    "vertebra_metastasis",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Structure:
    """One structure of a case. mask: of the box of its stack. others: what lies in it and is something else: no click there."""

    case: Volume
    kind: int
    box: tuple[slice, slice, slice]
    mask: np.ndarray
    others: np.ndarray

    def plane(self, number: int) -> np.ndarray:
        """Its mask in a slice of the stack, whole."""
        return self._whole(self.mask, number)

    def clickable(self, number: int) -> np.ndarray:
        """The same without what is something else."""
        return self._whole(self.mask & ~self.others, number)

    def _whole(self, mask: np.ndarray, number: int) -> np.ndarray:
        found = np.zeros(self.case.stack.shape[1:], bool)
        if self.box[0].start <= number < self.box[0].stop:
            found[self.box[1:]] = mask[number - self.box[0].start]
        return found


@dataclass(frozen=True, eq=False)
class Volume:
    """One image as a stack."""

    image: Image
    stack: Stack


@dataclass(frozen=True, eq=False)
class Sample:
    """Slices of one structure as a network sees them. pictures `[t, size, size]` and masks `[t, size, size]` in 0..1; points of
    the first one with their labels; prior: the first slice's mask before it was corrected."""

    pictures: np.ndarray
    masks: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    prior: np.ndarray


def structures_of(image: Image, truth) -> list[Structure]:
    """What a network can be asked for in an image."""
    volume = Volume(image, stack_of(image, "axial"))
    found = []
    lesions = mask_of(truth, *LESIONS)
    for segment in truth.segments:
        kind = next((number for number, names in enumerate(KINDS) if segment.structure.startswith(names)), None)
        mask = volume.stack.view(truth.mask(segment))
        if kind is None or not mask.any():
            continue
        spans = [np.flatnonzero(mask.any(tuple(one for one in range(3) if one != axis))) for axis in range(3)]
        box = tuple(slice(int(one[0]), int(one[-1]) + 1) for one in spans)
        others = volume.stack.view(lesions)[box] if kind else np.zeros(mask[box].shape, bool)
        found.append(Structure(volume, kind, box, mask[box].copy(), others.copy()))
    return found


def drawn(cases: int) -> list[Structure]:
    """Structures of so many torsos, and of two sequences of half as many brains."""
    found = []
    for number in range(cases):
        scan = varied_scan(TRAINING + number, region="trunk", spacing_mm=SPACING_MM, samples=(2, 2, 1))
        found += structures_of(scan.image, scan.truth)
    for number in range((cases + 1) // 2):
        scans = varied_brain(TRAINING + number, spacing_mm=BRAIN_SPACING_MM, samples=(2, 2, 1))
        found += [one for name in ("T1c", "FLAIR") for one in structures_of(scans[name].image, scans[name].truth)]
    return found


def sampled(structures: list[Structure], frames: int, random: np.random.Generator) -> Sample:
    """One or more slices of a random structure, prompts of the first."""
    while True:
        kind = int(random.integers(len(KINDS)))
        named = [one for one in structures if one.kind == kind]
        one = named[int(random.integers(len(named)))] if named else structures[int(random.integers(len(structures)))]
        first = int(random.integers(one.box[0].start, one.box[0].stop))
        plane = one.clickable(first)
        if plane.sum() >= LEAST_PIXELS:
            break
    step = int(random.choice((-1, 1)))
    numbers = [min(max(first + step * at, 0), one.case.stack.shape[0] - 1) for at in range(frames)]
    click = click_in(plane, random)
    window = varied_window(one, first, click, random)
    view = varied_view(one, one.plane(first), click, random)
    pictures = np.stack([resized(view.picture(one.case.stack.view(one.case.image.voxels)[at], window), SIZE) for at in numbers])
    masks = np.stack([resized(part_of(one.plane(at), view) * 255.0, SIZE) for at in numbers])
    points, labels = prompts_of(one.plane(first), click, view, random)
    beside = one.plane(int(np.clip(first + random.choice((-1, 1)), 0, one.case.stack.shape[0] - 1)))
    return turned(Sample(pictures, masks, points, labels, resized(part_of(beside, view) * 255.0, SIZE // 4)), random)


def click_in(plane: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A pixel (column, row) of a mask, more often one far from its edge."""
    from scipy import ndimage

    depth = ndimage.distance_transform_edt(np.pad(plane, 1))[1:-1, 1:-1]
    inner = np.argwhere(depth >= random.uniform(0, 1) * depth.max() * 0.99)
    return inner[int(random.integers(len(inner)))][::-1]


def varied_window(one: Structure, number: int, click: np.ndarray, random: np.random.Generator) -> Window:
    """The engine's window at the click, moved and stretched a little."""
    column, row = click
    kji = one.case.stack.places_back(np.array([[number, row, column]]))
    window = window_at(one.case.image, kji)
    width, middle = window.high - window.low, (window.high + window.low) / 2
    return Window.of_level(middle + random.uniform(-0.1, 0.1) * width, width * random.uniform(0.8, 1.25))


def varied_view(one: Structure, plane: np.ndarray, click: np.ndarray, random: np.random.Generator) -> View:
    """A whole slice, as for the engine's first look, or the square that it takes then."""
    if random.uniform() < 0.3:
        return whole(one.case.stack)
    return around(one.case.stack, click, extent_mm(plane, one.case.stack) * random.uniform(0.8, 1.3))


def part_of(plane: np.ndarray, view: View) -> np.ndarray:
    """A mask in a view."""
    found = np.zeros((view.rows, view.columns), np.float32)
    inside, there = view.overlap(plane.shape)
    found[there] = plane[inside]
    return found


def resized(picture: np.ndarray, size: int) -> np.ndarray:
    """Values of 0..255 as 0..1 in so many pixels a side, as the engine resizes pictures."""
    import torch

    from OncoSegmentLib.refine.sam.sam2_network import fitted

    return fitted(torch.from_numpy(np.ascontiguousarray(picture))[None, None], size)[0, 0].numpy()


def prompts_of(plane: np.ndarray, click: np.ndarray, view: View, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Four points at most, in pixels of the network's picture, with SAM's labels: 1 inside, 0 outside, 2 and 3 a box, -1 none."""
    points, labels = [], []
    kind = random.uniform()
    if kind < 0.35:
        rows, columns = np.argwhere(plane).T
        box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], float)
        box += random.normal(0, 0.03, 4) * max(np.ptp(rows), np.ptp(columns), 4)
        low = view.box_to_network(tuple(box), SIZE)
        points, labels = [low[:2], low[2:]], [2, 3]
    if kind > 0.2:
        points, labels = [*points, view.to_network([click], SIZE)[0]], [*labels, 1]
    if random.uniform() < 0.25:
        from scipy import ndimage

        ring = ndimage.binary_dilation(plane, iterations=6) & ~ndimage.binary_dilation(plane, iterations=1)
        near = np.argwhere(ring)
        if len(near):
            points.append(view.to_network([near[int(random.integers(len(near)))][::-1]], SIZE)[0])
            labels.append(0)
    missing = 4 - len(points)
    return np.array(points + [np.zeros(2)] * missing, np.float32), np.array(labels + [-1] * missing, np.int32)


def turned(sample: Sample, random: np.random.Generator) -> Sample:
    """Mirrored left to right, or not."""
    if random.uniform() < 0.5:
        return sample
    points = sample.points.copy()
    points[:, 0] = SIZE - 1 - points[:, 0]
    box = np.flatnonzero(sample.labels >= 2)
    if box.size:
        points[box[0], 0], points[box[1], 0] = points[box[1], 0], points[box[0], 0]
    mirror = [np.ascontiguousarray(one[..., ::-1]) for one in (sample.pictures, sample.masks, sample.prior)]
    return Sample(mirror[0], mirror[1], points, sample.labels, mirror[2])


def batch(samples: list[Sample]) -> dict:
    """As tensors: pictures `[t, n, 3, size, size]`, masks `[t, n, 1, FINE, FINE]`, points, labels, prior logits."""
    import torch
    from torch.nn.functional import interpolate

    from OncoSegmentLib.refine.sam.sam2_network import normalized

    pictures = torch.from_numpy(np.stack([one.pictures for one in samples], 1)).float()
    masks = torch.from_numpy(np.stack([one.masks for one in samples], 1)).float()
    return {
        "pictures": normalized(pictures[:, :, None]),
        "masks": interpolate(masks, (FINE, FINE), mode="area")[:, :, None],
        "points": torch.from_numpy(np.stack([one.points for one in samples])),
        "labels": torch.from_numpy(np.stack([one.labels for one in samples])),
        "prior": (torch.from_numpy(np.stack([one.prior for one in samples])).float()[:, None] * 2 - 1) * 8,
    }


def loss_of(logits, masks):
    """Cross entropy and Dice of low-resolution logits against soft masks; where there is nothing, cross entropy alone."""
    from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

    fine = interpolate(logits.clamp(-20, 20), (FINE, FINE), mode="bilinear", align_corners=False)
    entropy = binary_cross_entropy_with_logits(fine, masks, reduction="none").mean((1, 2, 3))
    chance, sizes = fine.sigmoid(), masks.sum((1, 2, 3))
    overlap = 1 - (2 * (chance * masks).sum((1, 2, 3)) + 1) / (chance.sum((1, 2, 3)) + sizes + 1)
    return (5 * entropy + overlap * (sizes > 1)).mean()


def features_of(network, pictures):
    """Of all slices at once: features, positions and sizes as the package's `track_step` takes them."""
    return network._prepare_backbone_features(network.forward_image(pictures))[1:]


def single(network, data: dict, prior: bool):
    """Loss of slices by themselves."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    features, _, sizes = features_of(network, data["pictures"][0])
    count = len(data["points"])
    maps = [one.permute(1, 2, 0).reshape(count, -1, *size) for one, size in zip(features, sizes)]
    sparse, dense = network.sam_prompt_encoder(
        points=(data["points"], data["labels"]), boxes=None, masks=data["prior"] if prior else None
    )
    logits, _, _, present = network.sam_mask_decoder(
        image_embeddings=maps[-1] + network.no_mem_embed.reshape(1, -1, 1, 1),
        image_pe=network.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=False,
        repeat_image=False,
        high_res_features=maps[:-1],
    )
    there = present.new_ones(present.shape)
    return loss_of(logits, data["masks"][0]) + 0.1 * binary_cross_entropy_with_logits(present, there)


def followed(network, data: dict):
    """Loss of slices that follow each other, from prompts in the first and memories after it."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    outputs = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    frames, total = len(data["pictures"]), 0.0
    for at in range(frames):
        features, positions, sizes = features_of(network, data["pictures"][at])
        points = {"point_coords": data["points"], "point_labels": data["labels"]} if at == 0 else None
        out = network.track_step(
            frame_idx=at, is_init_cond_frame=at == 0, current_vision_feats=features, current_vision_pos_embeds=positions,
            feat_sizes=sizes, point_inputs=points, mask_inputs=None, output_dict=outputs, num_frames=frames,
        )  # fmt: skip
        outputs["non_cond_frame_outputs" if at else "cond_frame_outputs"][at] = out
        masks = data["masks"][at]
        there = (masks.amax((1, 2, 3)) > 0.5).float()[:, None]
        seen = binary_cross_entropy_with_logits(out["object_score_logits"], there)
        total = total + loss_of(out["pred_masks"], masks) + 0.3 * seen
    return total / frames


def train(structures: list[Structure], options):
    """The network after its training."""
    import torch

    seeded(options.seed, options.threads)
    random = np.random.default_rng(options.seed)
    network = built(BASE, CHANGES).eval()  # without dropout; gradients flow all the same
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    steps = options.steps + options.clips

    def rate(step: int) -> float:
        return min((step + 1) / WARM_UP, 0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for step in range(steps):
        clips = step >= options.steps
        data = batch([sampled(structures, FRAMES if clips else 1, random) for _ in range(CLIPS if clips else BATCH)])
        value = followed(network, data) if clips else single(network, data, prior=step % 4 == 3)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 25 == 0 or step + 1 == steps:
            print(f"step {step}: loss {value.item():.3f}, {time.process_time():.0f} s of the processor", flush=True)
    return network


README = """# Demonstration network of click refinement

**For demonstration only. Trained on digital patients only; never for patients.**

A small SAM 2.1 (the classes of the package sam2, with smaller numbers, see `network.json`) that segments what is clicked or
boxed in slices, and follows it through them. It was trained on varied digital patients of OncoSegment (ellipsoids with noise) by
`Testing/tools/train_demo_sam.py`, which also wrote `evaluation.json`: its Dice on other digital patients after one click each.
These figures say nothing about images of people.

Apache-2.0, see LICENSE.
"""


def ship(folder: Path, weights: dict) -> None:
    """Writes the model."""
    import torch

    folder.mkdir(parents=True)
    torch.save({"model": half(weights)}, folder / "demo_sam.pt")
    written(folder / "network.json", {"base": BASE, "changes": CHANGES})
    (folder / "README.md").write_text(README, encoding="utf-8", newline="\n")
    shutil.copyfile(LICENSE, folder / "LICENSE")


def evaluate(folder: Path, count: int) -> dict:
    """Dice after one click into each structure of held-out torsos, by the engine; lesions one by one."""
    from helpers_sam import inside, whole_answer
    from OncoSegmentLib.refine.protocol import Question
    from OncoSegmentLib.refine.sam import make

    cases = []
    with scratch() as place:
        # a copy: what lies in the folder of shipped models is refused until the catalogue has the new hashes
        engine = make(str(shutil.copytree(folder, Path(place, folder.name))), "cpu")
        for number in range(count):
            scan = varied_scan(HELD_OUT + number, region="trunk", spacing_mm=SPACING_MM, samples=(2, 2, 1))
            engine.set_image(scan.image)
            for segment in scan.truth.segments:
                name = segment.structure.removesuffix("_left").removesuffix("_right")
                mask = scan.truth.mask(segment)
                if name in EVALUATED and np.count_nonzero(mask) >= LEAST_VOXELS:
                    question = Question((inside(scan.image, mask),))
                    found = whole_answer(scan.image, question, engine.answer(question))
                    cases.append(compared({name: found}, {name: mask}))
    return summary(cases)


def main() -> None:
    """Draws, trains, ships, evaluates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=MODELS / ID)
    parser.add_argument("--cases", type=int, default=4)
    parser.add_argument("--held-out", type=int, default=2)
    parser.add_argument("--steps", type=int, default=720, help="of single slices")
    parser.add_argument("--clips", type=int, default=160, help="steps of slices that follow each other, after that")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only-evaluate", action="store_true", help="of what is in the output folder already")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if not options.only_evaluate:
        network = train(drawn(options.cases), options)
        shutil.rmtree(options.output, ignore_errors=True)
        ship(options.output, network.state_dict())
    finish(options.output, evaluate(options.output, options.held_out))


if __name__ == "__main__":
    main()
