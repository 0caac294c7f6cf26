"""Writes the small PyTorch files that crates/models/src/weights reads in its tests, with the numbers expected:
crates/models/tests/fixtures/pth/. Made with torch 2.15.0; nothing is random.

    python scripts/export_pth.py
"""

import argparse
import collections
import os
from pathlib import Path

import numpy
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
    # As training scripts save: scores, arguments and an optimizer's tensors beside the weights and their average.
    layer = nn.Linear(2, 1)
    nn.init.constant_(layer.weight, 3.0)
    nn.init.constant_(layer.bias, 4.0)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0, momentum=0.9)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    average = torch.optim.swa_utils.AveragedModel(layer)
    training = {
        "epoch": 3,
        "best_acc1": torch.tensor(0.5),
        "score": numpy.float64(0.25),
        "args": argparse.Namespace(lr=0.1, out=Path("out")),
        "counts": collections.Counter([1, 2]),
        "state": {"model": layer.state_dict()},
        "model_ema": average.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    torch.save(training, OUT / "training.pth")
    torch.save(training, OUT / "training_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"weight": base, "evil": Calls()}, OUT / "calls.pth")
    torch.save({"weight": base, "evil": Calls()}, OUT / "calls_legacy.pth", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
