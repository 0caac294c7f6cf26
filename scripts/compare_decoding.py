"""Compares decoded images with Pillow's.

    cargo run --release -p firesight-data --example bad_images -- IMAGES --dump PPM
    python scripts/compare_decoding.py IMAGES PPM

IMAGES is the folder of odd images, PPM the folder that the example wrote. Pillow (13.0.0) turns each image by
its EXIF orientation and converts it to RGB. Prints the files whose mean difference is above 1/255 or whose
size differs, and how many agree.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps


def main(images: Path, dumped: Path) -> None:
    Image.MAX_IMAGE_PIXELS = None
    agree = differ = unread = 0
    for ppm in sorted(dumped.glob("*.ppm")):
        name = ppm.name.removesuffix(".ppm").replace("__", "/", 1)
        ours = np.asarray(Image.open(ppm)).astype(int)
        try:
            theirs = ImageOps.exif_transpose(Image.open(images / name))
            mode = theirs.mode
            if mode.startswith("I;16") or mode == "I":
                gray = np.asarray(theirs).astype(float) / 257
                theirs = np.repeat(np.round(gray)[..., None], 3, axis=2).astype(int)
            else:
                theirs = np.asarray(theirs.convert("RGB")).astype(int)
        except Exception as error:
            unread += 1
            print(f"{name}: Pillow fails: {error!r}")
            continue
        if ours.shape != theirs.shape:
            differ += 1
            print(f"{name}: {mode} {ours.shape} here, {theirs.shape} in Pillow")
            continue
        difference = np.abs(ours - theirs)
        if difference.mean() > 1:
            differ += 1
            print(f"{name}: {mode} mean {difference.mean():.2f}, max {difference.max()}")
        else:
            agree += 1
    print(f"{agree} agree, {differ} differ, {unread} are not read by Pillow")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
