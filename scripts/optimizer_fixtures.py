"""Writes crates/kernels/tests/fixtures/optimizers.json: parameters after steps of PyTorch's optimizers.

Made with torch 2.15.0 on the CPU, seed 7. Run from the repository root:

    python scripts/optimizer_fixtures.py
"""

import json
import pathlib

import torch

STEPS = 4
SIZE = 37  # no multiple of any vector's lanes

CASES = [
    ("sgd", dict(lr=0.1)),
    ("sgd", dict(lr=0.1, weight_decay=0.01)),
    ("sgd", dict(lr=0.05, momentum=0.9)),
    ("sgd", dict(lr=0.05, momentum=0.9, weight_decay=5e-4)),
    ("sgd", dict(lr=0.05, momentum=0.8, dampening=0.3, weight_decay=5e-4)),
    ("sgd", dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)),
    ("adam", dict(lr=0.01)),
    ("adam", dict(lr=0.01, betas=(0.5, 0.9), eps=1e-3, weight_decay=0.1)),
    ("adamw", dict(lr=0.01)),
    ("adamw", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)),
]
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def main():
    generator = torch.Generator().manual_seed(7)
    start = torch.randn(SIZE, generator=generator)
    gradients = torch.randn(STEPS, SIZE, generator=generator)
    cases = []
    for name, options in CASES:
        parameter = torch.nn.Parameter(start.clone())
        optimizer = OPTIMIZERS[name]([parameter], foreach=False, **options)
        after = []
        for gradient in gradients:
            parameter.grad = gradient.clone()
            optimizer.step()
            after.append(parameter.detach().tolist())
        cases.append({"optimizer": name, "options": options, "after": after})
    fixture = {
        "torch": torch.__version__,
        "start": start.tolist(),
        "gradients": gradients.tolist(),
        "cases": cases,
    }
    path = pathlib.Path("crates/kernels/tests/fixtures/optimizers.json")
    path.write_text(json.dumps(fixture) + "\n")


main()
