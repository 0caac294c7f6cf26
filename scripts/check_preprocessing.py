"""Compares the preparation of images for each published tag with torchvision's `weights.transforms()`.

    cargo run --release -p firesight --example prepare_tags -- /tmp/prepared PHOTOGRAPH...
    python scripts/check_preprocessing.py /tmp/prepared PHOTOGRAPH...

Photographs are the same files in both lines, and lossless ones: two decoders of JPEG differ by themselves. Each tag's
result must differ from torchvision's, which works on Pillow's picture, by at most 0.3/255 in the mean and 2/255
anywhere, on the scale of bytes. Needs torch, torchvision, Pillow and safetensors.
"""

import json
import sys
from pathlib import Path

import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file

MEAN, LARGEST = 0.3, 2.0


def main():
    folder, photographs = Path(sys.argv[1]), [Image.open(p).convert("RGB") for p in sys.argv[2:]]
    files = json.loads((folder / "tags.json").read_text())
    tensors = {number: load_file(folder / f"{number}.safetensors") for number in set(files.values())}
    worst = {}
    for tag, number in files.items():
        model, name = tag.split(".")
        transforms = torchvision.models.get_model_weights(model)[name].transforms()
        scale = torch.tensor(transforms.std).reshape(3, 1, 1) * 255
        for index, photograph in enumerate(photographs):
            ours, theirs = tensors[number][str(index)], transforms(photograph)
            assert ours.shape == theirs.shape, (tag, ours.shape, theirs.shape)
            apart = ((ours - theirs) * scale).abs()
            mean, largest = apart.mean().item(), apart.max().item()
            before = worst.get(number, (0.0, 0.0, ""))
            worst[number] = (max(mean, before[0]), max(largest, before[1]), f"{transforms.resize_size} {transforms.crop_size} {transforms.interpolation.value}")
    wrong = 0
    for number, (mean, largest, what) in sorted(worst.items()):
        passed = mean <= MEAN and largest <= LARGEST + 1e-3
        wrong += not passed
        print(f"{what:30} mean {mean:.3f}  largest {largest:.2f}  {'ok' if passed else 'WRONG'}")
    print(f"{len(files)} tags, {len(worst)} ways of preparing, {len(photographs)} photographs: {wrong} wrong")
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
