"""Lets `import torchvision` succeed in a test environment where its compiled operators do not fit the installed torch.

nnU-Net's search for trainers imports timm, which imports torchvision; of torchvision's operators none is used on the
way. Where the import works already, nothing is changed.

    python Testing/tools/heal_torchvision.py      # for the environment of this Python
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

NAME = "_oncosegment_test_torchvision"
HOOK = '''"""Written by Testing/tools/heal_torchvision.py of OncoSegment, for its test environment."""
import sys


class Finder:
    """Declares the operators that torchvision expects, once, just before its first import."""

    def find_spec(self, name, path=None, target=None):
        if name != "torchvision":
            return None
        sys.meta_path.remove(self)
        import torch

        self.library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            self.library.define(operator + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        sys.modules[__name__].kept = self
        return None


sys.meta_path.insert(0, Finder())
'''


def imports() -> bool:
    """True when torch and torchvision can be imported together."""
    return subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True).returncode == 0


def main() -> int:
    """Writes the hook when it is needed and says whether it helped."""
    if subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode or imports():
        return 0
    folder = Path(sysconfig.get_path("purelib"))
    (folder / f"{NAME}.py").write_text(HOOK, encoding="utf-8")
    (folder / f"{NAME}.pth").write_text(f"import {NAME}\n", encoding="utf-8")
    if imports():
        return 0
    print("torchvision cannot be imported beside this torch, with the hook neither", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
