"""Loads safetensors that this project exported into torchvision's models with strict=True, and compares
outputs: they may differ by a thousandth of their standard deviation.

    cargo run --release -p firesight-models --example export_zoo -- /tmp/exported [NAME ...]
    python scripts/check_export.py /tmp/exported

Needs torch, torchvision and safetensors; models that torchvision lacks are those of own_models.py.
"""

import sys
from collections import OrderedDict
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file

from export_reference import AUX
from own_models import OWN

TOLERANCE = 1e-3


def build(name, classes):
    if name in OWN:
        return OWN[name][0](classes)
    options = {"init_weights": False, "aux_logits": True} if name in AUX else {}
    return torchvision.models.get_model(name, weights=None, num_classes=classes, **options)


def main():
    files = sorted(Path(sys.argv[1]).glob("*.reference.safetensors"))
    if not files:
        raise SystemExit(f"no *.reference.safetensors in {sys.argv[1]}")
    failed = 0
    for file in files:
        name = file.name.split(".reference")[0]
        reference = load_file(file)
        model = build(name, reference["output"].shape[1]).eval()
        state = OrderedDict(load_file(file.with_name(f"{name}.safetensors")))
        # The model's version, which safetensors do not hold and torchvision's MNASNet does not load without.
        state._metadata = {"": model.state_dict()._metadata[""]}
        model.load_state_dict(state, strict=True)
        with torch.no_grad():
            output = model(reference["input"])
        error = (output - reference["output"]).abs()
        # Freshly drawn networks give outputs of any size, so the outputs' own spread is the measure.
        passed = bool(error.max() <= TOLERANCE * output.std()) and bool(output.std() > 0)
        failed += not passed
        print(f"{name:24} {'ok' if passed else 'WRONG':5} largest difference {error.max():.2e}, output deviates {output.std():.2e}")
    print(f"{len(files) - failed} of {len(files)} load with strict=True and give the same outputs")
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
