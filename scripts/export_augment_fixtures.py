"""Writes crates/data/tests/fixtures/augment.safetensors.gz: photographs and what torchvision makes of them.

    python scripts/export_augment_fixtures.py [PATH TO shared/data/coco-mini]

Needs torch, torchvision, pillow and safetensors; the versions and the photographs' licences are written into the
file's metadata. There is no randomness: every parameter stands below and, under the same name, in
crates/data/tests/torchvision.rs. Tensors are [H, W, C] bytes. `<photo>` is the input, `<photo>/<operation>` the result
of torchvision.transforms.v2.functional on it as an 8-bit tensor (bilinear, antialias). `small` is a part of a photograph,
and `small/<operation>` the result on it as a floating-point tensor from 0 to 1, stored as 16 bits (65535 is 1).
"""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from safetensors.numpy import save
from torchvision.transforms.v2 import functional as F
from torchvision.transforms.v2 import InterpolationMode

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "coco-mini"
TARGET = ROOT / "crates" / "data" / "tests" / "fixtures" / "augment.safetensors.gz"
# File and the size it is brought to; both photographs are CC BY 2.0 (checked against the annotation file below).
PHOTOS = {"one": (0, (72, 54)), "two": (1, (48, 60))}
BILINEAR = InterpolationMode.BILINEAR

OPERATIONS = {
    "resize-down": lambda x: F.resize(x, [29, 37], BILINEAR, antialias=True),
    "resize-up": lambda x: F.resize(x, [101, 83], BILINEAR, antialias=True),
    "resize-mixed": lambda x: F.resize(x, [110, 31], BILINEAR, antialias=True),
    "crop": lambda x: F.crop(x, 7, 11, 40, 33),
    "crop-outside": lambda x: F.crop(x, -5, -3, 50, 60),
    "resized-crop": lambda x: F.resized_crop(x, 6, 5, 44, 41, [24, 32], BILINEAR, antialias=True),
    "center-crop": lambda x: F.center_crop(x, [41, 33]),
    "horizontal-flip": F.horizontal_flip,
    "vertical-flip": F.vertical_flip,
    "rotate-30": lambda x: F.rotate(x, 30.0, BILINEAR),
    "rotate-7": lambda x: F.rotate(x, -7.0, BILINEAR),
    "affine": lambda x: F.affine(x, 12.0, [4, -3], 1.15, [0.0, 0.0], BILINEAR),
    "scale-down": lambda x: F.affine(x, 0.0, [0, 0], 0.9, [0.0, 0.0], BILINEAR),
    "perspective": lambda x: F.perspective(
        x, [[0, 0], [50, 0], [50, 55], [0, 55]], [[3, 2], [48, 4], [46, 53], [1, 51]], BILINEAR
    ),
    "brightness-low": lambda x: F.adjust_brightness(x, 0.6),
    "brightness-high": lambda x: F.adjust_brightness(x, 1.45),
    "contrast-low": lambda x: F.adjust_contrast(x, 0.5),
    "contrast-high": lambda x: F.adjust_contrast(x, 1.7),
    "saturation-low": lambda x: F.adjust_saturation(x, 0.3),
    "saturation-high": lambda x: F.adjust_saturation(x, 1.8),
    "hue-up": lambda x: F.adjust_hue(x, 0.13),
    "hue-down": lambda x: F.adjust_hue(x, -0.37),
    "grayscale": lambda x: F.rgb_to_grayscale(x, 3),
    "solarize": lambda x: F.solarize(x, 128.0),
    "posterize": lambda x: F.posterize(x, 3),
    "equalize": F.equalize,
    "auto-contrast": F.autocontrast,
    "invert": F.invert,
    "smooth": lambda x: F.adjust_sharpness(x, 0.3),
    "sharpen": lambda x: F.adjust_sharpness(x, 2.0),
    "blur": lambda x: F.gaussian_blur(x, [7, 7], [1.3, 1.3]),
    "erase": lambda x: F.erase(x, 12, 20, 25, 17, torch.tensor([3, 200, 90], dtype=torch.uint8)[:, None, None]),
}
# What torchvision does on bits alone.
OF_BITS = ("posterize", "equalize")
# The same with the settings that depend on what white is.
FLOATS = {
    name: function for name, function in OPERATIONS.items() if name not in OF_BITS
} | {
    "solarize": lambda x: F.solarize(x, 128.0 / 255.0),
    "erase": lambda x: F.erase(x, 12, 20, 25, 17, torch.tensor([3, 200, 90])[:, None, None] / 255.0),
}


def main() -> None:
    annotations = json.loads((DATA / "annotations" / "instances_train2017.json").read_text())
    free = sorted((i for i in annotations["images"] if i["license"] == 4), key=lambda i: i["file_name"])
    tensors, notes = {}, {}
    for name, (number, size) in PHOTOS.items():
        entry = free[number]
        photo = Image.open(DATA / "train2017" / entry["file_name"]).convert("RGB").resize(size, Image.LANCZOS)
        pixels = np.asarray(photo)
        tensors[name] = pixels.copy()
        notes[name] = f"{entry['flickr_url']}, CC BY 2.0 (COCO {entry['file_name']}), reduced to {size[0]}x{size[1]}"
        image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
        for operation, function in OPERATIONS.items():
            result = function(image.clone())
            assert result.dtype == torch.uint8, operation
            tensors[f"{name}/{operation}"] = result.permute(1, 2, 0).contiguous().numpy()
    small = tensors["two"][20:50, 10:36]
    tensors["small"] = small.copy()
    image = torch.from_numpy(small.copy()).permute(2, 0, 1) / 255.0
    for operation, function in FLOATS.items():
        result = function(image.clone()).permute(1, 2, 0).contiguous()
        tensors[f"small/{operation}"] = (result * 65535.0).round().to(torch.int32).numpy().astype(np.uint16)
    notes["versions"] = f"torch {torch.__version__}, torchvision {torchvision.__version__}, pillow {PIL.__version__}"
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(gzip.compress(save(tensors, notes), 9, mtime=0))
    print(f"{TARGET}: {len(tensors)} tensors, {TARGET.stat().st_size} bytes")
    for note in notes.values():
        print(note)


if __name__ == "__main__":
    main()
