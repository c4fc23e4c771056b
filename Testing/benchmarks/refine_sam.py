"""Click refinement by SAM: a warm click beside the bare predictor of the package on the same slices, and the first click apart.

Both ways have the pictures' features and follow the same slices from the same prompt by the same network. The bare one is
the package's `add_new_points_or_box` and `propagate_in_video`, each direction as far as our way went, and nothing else; ours
ends with the mask in the volume's array (write-back), and with the clean-up before it. Both are measured in turn, on one thread.

    python -m benchmarks.refine_sam size     seconds of a first and a warm click with SAM 2.1's smallest network at 1024 pixels
"""

from __future__ import annotations

import contextlib
import io
import statistics
import sys
import time

import numpy as np

from benchmarks.timing import paired, verdict

AIM = 1.2
ROUNDS, FULL_ROUNDS = 9, 25


def figures(data, *, full: bool):
    """Lines of this subject."""
    try:
        import sam2  # noqa: F401
        import torch
    except ImportError:
        yield "clicks by SAM: the package sam2 is not installed (extra 'sam'), not measured"
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from lines(FULL_ROUNDS if full else ROUNDS)
        if full:
            yield from lines_of_size()
    finally:
        torch.set_num_threads(threads)


def lines(rounds: int):
    """Of the small network that comes along."""
    from helpers_sam import inside, liver_scan, mask_of
    from OncoSegmentLib.refine.protocol import Question
    from OncoSegmentLib.refine.sam.engine import make

    scan = liver_scan((1.5, 1.5, 3.0))
    for structure in ("liver", "liver_metastasis"):
        engine = make(device="cpu")
        engine.set_image(scan.image)
        question = Question((inside(scan.image, mask_of(scan, structure)),))
        began = time.perf_counter()
        engine.answer(question)
        first, pictures = time.perf_counter() - began, engine.computed
        volume = np.zeros(scan.image.shape_kji, bool)

        def ours(engine=engine, question=question, volume=volume):
            answer = engine.answer(question)
            volume[answer.part] = answer.mask

        bare, count = bare_way(engine, scan.image, question)
        mine, theirs, ratio = paired(ours, bare, rounds)
        yield (
            f"warm click by SAM, {structure.replace('_', ' ')}, {count} slices: {1000 * mine:.0f} ms with write-back, bare"
            f" predictor {1000 * theirs:.0f} ms, ratio {ratio:.2f} ({verdict(ratio, AIM)}); first click {first:.1f} s,"
            f" {pictures} pictures encoded"
        )


def bare_way(engine, image, question):
    """The package's predictor on the slices and the view that the engine's last answer took, and how many they were."""
    from sam2.sam2_video_predictor import SAM2VideoPredictor

    from OncoLib.progress import CancelToken
    from OncoSegmentLib.refine.sam import walk
    from OncoSegmentLib.refine.sam.slice_prompts import told

    look, network = engine._look, engine.network
    asked = told(image, look.stack, question.prompts)
    ((number, prompts),) = asked.slices.items()
    visited: list[int] = []

    def features(at: int):
        visited.append(at)
        return engine._features(image, look, at, CancelToken())

    count = look.stack.shape[0]
    walk.by_memory(
        walk.Way(network, look.view, asked.slices, {}, (0, count), 1, count, features, lambda *_: None, CancelToken())
    )
    first, last = min(visited), max(visited)
    maps = {at: network.placed(engine._features(image, look, at, CancelToken())) for at in range(first, last + 1)}
    seen = prompts.seen(look.view, network.size)

    def bare() -> None:
        state = network.predictor.begin(count, maps.__getitem__)
        network.predictor.add_new_points_or_box(
            state, number, 1, points=seen.points / network.size, labels=seen.labels, normalize_coords=False
        )
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            for reverse, far in ((False, last - number), (True, number - first)):
                follow = SAM2VideoPredictor.propagate_in_video
                for _ in follow(network.predictor, state, number, far, reverse):
                    pass

    return bare, last - first + 1


def lines_of_size():
    """Of SAM 2.1's smallest network with random numbers, at its own size: what clicks cost, not what they find."""
    import torch

    from helpers_sam import inside, liver_scan, mask_of
    from OncoSegmentLib.refine.protocol import Question
    from OncoSegmentLib.refine.sam.embeddings import Embeddings
    from OncoSegmentLib.refine.sam.engine import SamEngine
    from OncoSegmentLib.refine.sam.models import KINDS
    from OncoSegmentLib.refine.sam.sam2_config import built
    from OncoSegmentLib.refine.sam.sam2_network import Sam2Network

    torch.manual_seed(1)
    scan = liver_scan()
    kind = KINDS["sam2.1-hiera-tiny"]
    network = Sam2Network(built(kind.base, kind.changes).eval(), "random", "0" * 64)
    engine = SamEngine(network, Embeddings(), zoom=False)
    engine.set_image(scan.image)
    middle = inside(scan.image, mask_of(scan, "liver"))
    k = int(scan.image.shape_kji[0] // 2)
    question = Question((middle,), within=(slice(k - 1, k + 2), *(slice(0, one) for one in scan.image.shape_kji[1:])))
    spent = []
    for _ in range(4):
        began = time.process_time()
        engine.answer(question)
        spent.append(time.process_time() - began)
    yield (
        f"SAM 2.1 tiny at 1024 pixels with random numbers, {engine.computed} slices: first click {spent[0]:.1f} s of the"
        f" processor, warm {statistics.median(spent[1:]):.1f} s; {engine.embeddings.bytes_each / 1e6:.1f} MB of features a slice"
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["size"]:
        print(*lines_of_size(), sep="\n")
