#!/usr/bin/env bash
# Pillow: a turned, uncompressed TIFF mask is scrambled when it is opened by its path.
#
# Guess: Pillow either turns a TIFF by its orientation tag or leaves it as it is stored, the same way for every file.
# What happens: it turns (already on `load`, without `ImageOps.exif_transpose`), but for the orientations 5 to 8 of an
#   uncompressed file of one, two or four bytes a pixel it lays the stored rows out at the turned width, turns that, and ends
#   with the stored size again: `size` says 24x40 before `load` and 40x24 after it, and the object is broken into stripes.
#   Only opening by path does so; the same bytes from an open file or from memory come out right, and so do LZW and RGB.
# Why it matters: the RGB picture of a scan is read correctly and its one-channel mask (or its 16-bit depth map) is not. Once
#   both are resized to the size of the network's input, as most loaders do, nothing shows: no value is odd, and a
#   segmentation model learns from noise. A test that reads from `BytesIO` never sees it.
#
# Seen on 2026-11-28 with Pillow 13.0.0 (12.3.0 too), numpy 2.4.6, tifffile 2026.3.3 (shows what is stored), Python 3.11:
#   a mask of 40x24 pixels with an object of 20x10, orientation 6, by path: 40x24 again, and the IoU of the object is 0.205
#   with the stored mask; by file object and from memory 24x40 and IoU 1.0 with the turned mask; LZW and RGB likewise.
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 pillow==13.0.0 tifffile==2026.3.3
cd "$dir"
venv/bin/python - <<'PY'
import io
import sys

import numpy as np
import tifffile
from PIL import Image

failed = []


def check(what, recorded, seen):
    print(f"{what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


mask = np.zeros((24, 40), np.uint8)
mask[4:14, 10:30] = 1
# Orientation 6: the stored top row is the right side of the picture. 8: it is the left side.
turned = {1: mask, 3: mask[::-1, ::-1], 5: mask.T, 6: np.rot90(mask, -1), 7: mask[::-1, ::-1].T, 8: np.rot90(mask)}


def iou(seen, right):
    if seen.shape != right.shape:
        return f"{seen.shape} against {right.shape}"
    seen, right = seen > 0, right > 0
    return round(float((seen & right).sum() / (seen | right).sum()), 3)


def write(picture, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save("mask.tif", exif=exif, **options)


def by_path():
    return np.asarray(Image.open("mask.tif"))


STRIPES = {5: 0.205, 6: 0.205, 7: 0.22, 8: 0.22}
for orientation, right in turned.items():
    write(Image.fromarray(mask), orientation)
    data = open("mask.tif", "rb").read()
    assert np.array_equal(tifffile.imread("mask.tif"), mask)
    seen = by_path()
    check(f"orientation {orientation}, values by path", [0, 1], np.unique(seen).tolist())
    if orientation in STRIPES:
        picture = Image.open("mask.tif")
        sizes = [picture.size]
        picture.load()
        check(f"orientation {orientation}, size before and after load", [(24, 40), (40, 24)], sizes + [picture.size])
        check(f"orientation {orientation}, IoU by path with the stored mask", STRIPES[orientation], iou(seen, mask))
    else:
        check(f"orientation {orientation}, IoU by path", 1.0, iou(seen, right))
    with open("mask.tif", "rb") as file:
        check(f"orientation {orientation}, IoU by file object", 1.0, iou(np.asarray(Image.open(file)), right))
    check(f"orientation {orientation}, IoU from memory", 1.0, iou(np.asarray(Image.open(io.BytesIO(data))), right))

right = turned[6]
write(Image.fromarray(mask.astype(np.uint16) * 300), 6)
check("16 bits, IoU by path with the stored mask", 0.205, iou(by_path(), mask))
write(Image.fromarray(mask), 6, compression="tiff_lzw")
check("LZW, IoU by path", 1.0, iou(by_path(), right))
write(Image.fromarray(np.stack([mask * 255] * 3, -1)), 6)
check("RGB, IoU by path", 1.0, iou(by_path()[..., 0], right))
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
