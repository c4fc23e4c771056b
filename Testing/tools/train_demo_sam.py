"""Trains the demonstration network of click refinement: a small SAM 2.1 on varied reference patients, on the CPU, seeded.

    python Testing/tools/train_demo_sam.py                      writes ModelManagerLib/Resources/Models/demo-sam
    python Testing/tools/train_demo_sam.py --output DIR         elsewhere
    python Testing/tools/train_demo_sam.py --cases 1 --steps 2 --clips 1 --held-out 1     only tries the way

It needs the packages of `make test`. The network is made of the package's own classes, smaller; pictures, windows, squares and
pixels of prompts are those of the engine. First slices with several prompts each, then clips of slices with memories among them.
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
import time
from pathlib import Path

import numpy as np
from demo_sam_data import SIZE, SPACING_MM, Sample, Structure, crowd, drawn, sampled
from demo_training import (
    HELD_OUT,
    LICENSE,
    MODELS,
    ROOT,
    compared,
    finish,
    half,
    scratch,
    seeded,
    summary,
    written,
)  # fmt: skip

sys.path.append(str(ROOT / "Testing"))

from OncoLib.phantom.variation import varied_scan
from OncoSegmentLib.refine.sam.sam2_config import built, for_size

ID = "demo-sam"
BASE = "sam2.1_hiera_t"
WIDTH, MEMORY = 64, 32

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


PICTURES, PROMPTS = 4, 8
"""Of a step: pictures, and prompts of each."""

CLIPS, FRAMES, EVERY = 4, 4, 2
"""Of a step that follows slices: how many at once, and slices of each. Every so many-th of the second stage is one."""

PRIOR = 5
"""Every so many-th step has the mask of a slice beside as prompt, too."""

GAIN = 3.0
"""Of attention between prompts and places at the start, see `pointed`."""

RATE, WARM_UP = 1.2e-3, 40
FINE = 128
"""Pixels a side on which losses are computed."""

LEAST_VOXELS = 30
"""Of a structure that is evaluated: 30 voxels are 0.4 ml, a ball of 9 mm."""

EVALUATED = (
    "liver", "spleen", "kidney", "urinary_bladder", "heart", "gallbladder", "liver_metastasis", "lung_nodule",
    "vertebra_metastasis",
)  # fmt: skip


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


def balanced(logits, masks):
    """As `loss_of`, but what is inside and what is outside count alike, however small the inside is: the other one answers
    "nothing" first, and stayed there for small structures."""
    from torch.nn.functional import binary_cross_entropy_with_logits, interpolate

    fine = interpolate(logits.clamp(-20, 20), (FINE, FINE), mode="bilinear", align_corners=False)
    entropy = binary_cross_entropy_with_logits(fine, masks, reduction="none")
    chance, sizes, rest = fine.sigmoid(), masks.sum((1, 2, 3)), (1 - masks).sum((1, 2, 3))
    inside, outside = ((entropy * part).sum((1, 2, 3)) / (size + 1) for part, size in ((masks, sizes), (1 - masks, rest)))
    overlap = 1 - (2 * (chance * masks).sum((1, 2, 3)) + 1) / (chance.sum((1, 2, 3)) + sizes + 1)
    return (inside + 2 * outside + overlap * (sizes > 1)).mean()


def pointed(network):
    """Lets prompts and places of a picture look at each other where they are alike, before anything is learned: keys as queries,
    larger. Without this and `balanced`, a network of this size heeds its prompts late: Dice 0.26 against 0.48 after 200 steps."""
    import torch

    transformer = network.sam_mask_decoder.transformer
    both = [one for layer in transformer.layers for one in (layer.cross_attn_token_to_image, layer.cross_attn_image_to_token)]
    with torch.no_grad():
        for attention in (*both, transformer.final_attn_token_to_image):
            attention.q_proj.weight.mul_(GAIN)
            attention.k_proj.weight.copy_(attention.q_proj.weight)
    return network


def features_of(network, pictures):
    """Of all slices at once: features, positions and sizes as the package's `track_step` takes them."""
    return network._prepare_backbone_features(network.forward_image(pictures))[1:]


def single(network, data: dict, prior: bool, prompts: int, loss=None):
    """Loss of slices by themselves. prompts: how many in a row have the same picture. loss: `loss_of` if None."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    features, _, sizes = features_of(network, data["pictures"][0][::prompts])
    count = len(data["points"]) // prompts
    maps = [one.permute(1, 2, 0).reshape(count, -1, *size) for one, size in zip(features, sizes)]
    maps = [one.repeat_interleave(prompts, 0) for one in maps]
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
    return (loss or loss_of)(logits, data["masks"][0]) + 0.1 * binary_cross_entropy_with_logits(present, there)


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
        total = total + loss_of(out["pred_masks"], masks) + seen
    return total / frames


def train(structures: list[Structure], options):
    """The network after its training: several prompts a picture, then slices that follow each other among them."""
    seeded(options.seed, options.threads)
    network = pointed(built(BASE, CHANGES).eval())  # without dropout; gradients flow all the same

    def prompted(step: int, random, loss=None) -> object:
        data = batch([one for _ in range(PICTURES) for one in crowd(structures, PROMPTS, random)])
        return single(network, data, prior=step % PRIOR == PRIOR - 1, prompts=PROMPTS, loss=loss)

    def either(step: int, random) -> object:
        if step % EVERY == EVERY - 1:
            return followed(network, batch([sampled(structures, FRAMES, random) for _ in range(CLIPS)]))
        return prompted(step, random)

    stage(network, lambda step, random: prompted(step, random, balanced), options.steps, RATE, options.seed)
    stage(network, either, options.clips, RATE, options.seed + 1)
    return network


def stage(network, loss, steps: int, largest: float, seed: int) -> None:
    """So many steps at rates that rise and fall again."""
    import torch

    random = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=largest, weight_decay=0.01)
    began = time.process_time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = largest * min((step + 1) / WARM_UP, 0.02 + 0.98 * (1 + math.cos(math.pi * step / steps)) / 2)
        value = loss(step, random)
        optimizer.zero_grad()
        value.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step % 25 == 0 or step + 1 == steps:
            print(f"step {step}: loss {value.item():.3f}, {time.process_time() - began:.0f} s of the processor", flush=True)


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
    from OncoSegmentLib.refine.sam.engine import make

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
    parser.add_argument("--cases", type=int, default=6)
    parser.add_argument("--held-out", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000, help="of slices by themselves")
    parser.add_argument("--clips", type=int, default=1700, help="steps with slices that follow each other among them, after that")
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
