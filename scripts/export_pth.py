"""Writes the small PyTorch files that crates/models/src/weights reads in its tests, with the numbers expected:
crates/models/tests/fixtures/pth/. Made with torch 2.15.0; nothing is random.

    python scripts/export_pth.py
"""

import collections
import os
from pathlib import Path

import torch
from torch import nn

OUT = Path(__file__).parent.parent / "crates/models/tests/fixtures/pth"


class Calls:
    def __reduce__(self):
        return os.system, ("touch executed",)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    base = torch.arange(24, dtype=torch.float32)
    tensors = collections.OrderedDict(
        plain=base.reshape(2, 3, 4).clone(),
        transposed=base.reshape(4, 6).t(),
        part=base[5:9],
        scalar=torch.tensor(3.5),
        empty=torch.zeros(0, 2),
        half=torch.tensor([0.5, -2.0], dtype=torch.float16),
        brain=torch.tensor([1.5, -4.0], dtype=torch.bfloat16),
        double=torch.tensor([0.25], dtype=torch.float64),
        counter=torch.tensor(7),
    )
    torch.save(tensors, OUT / "zip.pth")
    torch.save(tensors, OUT / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "lr": 0.1, "best": None, "ok": True, "state_dict": {"module.weight": nn.Parameter(base[:2].clone())}}, OUT / "checkpoint.pth")
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    for i, value in enumerate(model.state_dict().values()):
        value.fill_(i)
    torch.save(model.state_dict(), OUT / "module.pth")
    torch.save(model, OUT / "whole_module.pth")
    torch.save({"weight": base, "evil": Calls()}, OUT / "calls.pth")
    torch.save({"weight": base, "evil": Calls()}, OUT / "calls_legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
