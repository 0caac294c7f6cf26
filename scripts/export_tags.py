"""Writes crates/models/src/tags_table.rs: torchvision's published weights for the zoo's classifiers.

    python scripts/export_tags.py

Facts only, read from the installed package (made with torchvision 0.29.2): file names, which end in the first
hex digits of the file's SHA-256, eight in most, preprocessing and accuracies from each tag's metadata. The
multiply-adds at 224x224 are counted here, convolutions and linear layers, on the meta device (at least the
smallest input that the model takes); where the published count is for 224 pixels the two must agree within 1 %.
"""

import re
from pathlib import Path

import torch
import torchvision
from torch import nn

from export_reference import FAMILIES

OUT = Path(__file__).parent.parent / "crates/models/src/tags_table.rs"
HOST = "https://download.pytorch.org/models/"


def multiply_adds(name):
    for function in [n for n in dir(nn.init) if n.endswith("_")]:
        setattr(nn.init, function, lambda tensor, *a, **k: tensor)
    model = torchvision.models.get_model(name, weights=None).eval().to("meta")
    total = 0

    def count(module, _, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output.numel() * module.in_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]
        elif isinstance(module, nn.Linear):
            total += output.numel() * module.in_features

    for module in model.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, 224, 224, device="meta"))
    return total


def option(value):
    return "None" if value != value else f"Some({float(value)})"


def main():
    tags, counts = [], []
    for name in sorted(torchvision.models.list_models(module=torchvision.models)):
        module = torchvision.models.get_model_builder(name).__module__
        if module.rsplit(".", 1)[-1] not in FAMILIES:
            continue
        counts.append((name, multiply_adds(name)))
        for weights in torchvision.models.get_model_weights(name):
            assert weights.url.startswith(HOST), weights.url
            file = weights.url[len(HOST):]
            digits = re.search(r"-([0-9a-f]+)\.", file)
            digits = digits.group(1) if digits else ""
            if len(digits) != 8:
                print(f"{file}: {len(digits)} digits")
            look = weights.transforms()
            assert look.antialias in (True, None, "warn"), (name, look)
            accuracy = weights.meta["_metrics"]["ImageNet-1K"]
            if look.crop_size == [224] and weights.meta["_ops"]:
                published = weights.meta["_ops"] * 1e9
                if abs(counts[-1][1] - published) > max(0.01 * published, 0.0011e9):
                    print(f"{name}: counted {counts[-1][1] / 1e9:.3f}, published {published / 1e9:.3f} billion")
            tags.append(
                f'    Tag {{ model: "{name}", tag: "{weights.name}", file: "{file}", sha256_prefix: "{digits}", '
                f"preprocessing: Preprocessing {{ resize: {look.resize_size[0]}, crop: {look.crop_size[0]}, "
                f"interpolation: ResizeFilter::{look.interpolation.value.capitalize()}, "
                f"mean: {list(look.mean)}, std: {list(look.std)} }}, "
                f"top1: {option(accuracy['acc@1'])}, top5: {option(accuracy['acc@5'])} }},"
            )
    lines = [
        "//! Written by `scripts/export_tags.py` from torchvision's metadata; not edited by hand.",
        "",
        "use super::{Interpolation, Preprocessing, Tag};",
        "",
        "#[rustfmt::skip]",
        "pub(super) const TAGS: &[Tag] = &[",
        *tags,
        "];",
        "",
        "/// Multiply-adds of convolutions and linear layers for one 224x224 image.",
        "#[rustfmt::skip]",
        "pub(super) const MULTIPLY_ADDS: &[(&str, u64)] = &[",
        *(f'    ("{name}", {count}),' for name, count in counts),
        "];",
        "",
    ]
    OUT.write_text("\n".join(lines))
    print(f"{len(counts)} models, {len(tags)} tags")


if __name__ == "__main__":
    main()
