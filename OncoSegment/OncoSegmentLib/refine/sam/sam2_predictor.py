"""SAM 2.1's own video predictor over slices whose embeddings come from our cache and not from a film."""

from __future__ import annotations

import functools
from collections.abc import Callable

OBJECT = 1
"""One structure is followed at a time."""


@functools.cache
def predictor_class():
    """The class, made on first use: the package and torch are imported then."""
    import torch
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    class SlicePredictor(SAM2VideoPredictor):
        """`begin` stands in for `init_state`, which reads films; everything else is the package's."""

        def begin(self, frames: int, features: Callable[[int], tuple]) -> dict:
            """A state for so many slices. features: backbone features and their positions of a slice, as of `encoded`."""
            side = self.image_size // 4
            state = {
                "features": features,
                "num_frames": frames,
                "video_height": side,  # masks come as fine as the network makes them
                "video_width": side,
                "device": self.device,
                "storage_device": self.device,
                "constants": {},
                "obj_ids": [],
            }
            names = ("point_inputs", "mask_inputs", "output_dict", "temp_output_dict", "frames_tracked")
            return state | {f"{name}_per_obj": {} for name in names} | {"obj_id_to_idx": {}, "obj_idx_to_id": {}}

        def _get_image_feature(self, inference_state, frame_idx, batch_size):
            """Replaces the package's, which encodes a slice anew unless it is the one before."""
            maps, positions = inference_state["features"](frame_idx)
            out = {"backbone_fpn": list(maps), "vision_pos_enc": list(positions)}
            return (None, *self._prepare_backbone_features(out))

        @torch.inference_mode()
        def encoded(self, pictures) -> tuple[list, list]:
            """Feature maps (finest first, of all pictures) and their positions (of one) of `[n, 3, size, size]`."""
            out = self.forward_image(pictures)
            levels = self.num_feature_levels
            return out["backbone_fpn"][-levels:], [one[:1] for one in out["vision_pos_enc"][-levels:]]

        @torch.inference_mode()
        def prompted(self, state: dict, frame: int, points, labels, box):
            """Logits `[h, w]` of a slice by its prompts in pixels of its picture, divided by its size."""
            _, _, masks = self.add_new_points_or_box(
                state, frame, OBJECT, points=points, labels=labels, box=box, normalize_coords=False
            )
            self.propagate_in_video_preflight(state)
            return masks[0, 0]

        @torch.inference_mode()
        def masked(self, state: dict, frame: int, mask):
            """Takes a mask `[size, size]` of a slice as it is."""
            self.add_new_mask(state, frame, OBJECT, mask)
            self.propagate_in_video_preflight(state)

        @torch.inference_mode()
        def tracked(self, state: dict, frame: int, reverse: bool):
            """Logits of a slice from memories alone: one step of the package's `propagate_in_video`, without its bar."""
            outputs = state["output_dict_per_obj"][0]
            done = outputs["cond_frame_outputs"].get(frame)
            if done is not None:
                state["frames_tracked_per_obj"][0][frame] = {"reverse": reverse}
                return done["pred_masks"][0, 0]
            out, masks = self._run_single_frame_inference(
                inference_state=state,
                output_dict=outputs,
                frame_idx=frame,
                batch_size=1,
                is_init_cond_frame=False,
                point_inputs=None,
                mask_inputs=None,
                reverse=reverse,
                run_mem_encoder=True,
            )
            outputs["non_cond_frame_outputs"][frame] = out
            state["frames_tracked_per_obj"][0][frame] = {"reverse": reverse}
            return masks[0, 0]

    return SlicePredictor
