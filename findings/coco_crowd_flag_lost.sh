#!/usr/bin/env bash
# SAHI and globox: a COCO file that is read and written again has no crowd regions any more.
#
# Guess: `iscrowd` is part of the annotation format, so that reading COCO and writing COCO keeps it, as pylabel does.
# What happens: each crowd region is written with `iscrowd` 0, as one object of that size; SAHI also drops its RLE outline,
#   and the tiles of `slice_coco` are cut from what is left. Nothing is said.
# Why it matters: a crowd region is where predictions do not count. As an object it is one that nobody finds, and each single
#   person found in it becomes a false alarm: the same predictions get a lower AP on the written file than on the file read.
#   A detector trained on it learns that one box goes around everybody.
#
# Seen on 2026-11-28 with sahi 0.12.8, globox 2.9.0, pycocotools 2.0.11, numpy 2.4.6, Python 3.11; one person, one crowd
# region (RLE), the person found at 0.8 and two in the crowd at 0.9:
#   as read    iscrowd [0, 1]   AP50 1.0
#   sahi       iscrowd [0, 0]   AP50 0.168
#   globox     iscrowd [0, 0]   AP50 0.168
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check \
    sahi==0.12.8 globox==2.9.0 pycocotools==2.0.11 pillow==12.3.0 numpy==2.4.6
cd "$dir"
venv/bin/python - 2>messages <<'PY' || { cat messages; exit 1; }
import contextlib
import io
import json
import os
import sys

from globox import AnnotationSet
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from sahi.slicing import slice_coco
from sahi.utils.coco import Coco

failed = []


def check(what, recorded, seen):
    print(f"{what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


WIDTH, HEIGHT = 100, 80
# The crowd's box is 50 20 40 40; uncompressed RLE runs down the columns.
runs = [50 * HEIGHT + 20] + [40, 40] * 40
runs[-1] = WIDTH * HEIGHT - sum(runs[:-1])
person = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 30], "area": 600, "iscrowd": 0}
person["segmentation"] = [[10, 10, 30, 10, 30, 40, 10, 40]]
crowd = {"id": 2, "image_id": 1, "category_id": 1, "bbox": [50, 20, 40, 40], "area": 1600, "iscrowd": 1}
crowd["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": runs}
coco = {
    "images": [{"id": 1, "file_name": "0.png", "width": WIDTH, "height": HEIGHT}],
    "annotations": [person, crowd],
    "categories": [{"id": 1, "name": "person", "supercategory": "person"}],
}
found = [([10, 10, 20, 30], 0.8), ([52, 22, 8, 16], 0.9), ([70, 30, 8, 16], 0.9)]


def write(name, content):
    with open(name, "w") as file:
        json.dump(content, file)


def flags(content):
    return [annotation["iscrowd"] for annotation in sorted(content["annotations"], key=lambda a: a["bbox"][0])]


def ap50(name):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(name)
        results = [{"image_id": 1, "category_id": 1, "bbox": box, "score": score} for box, score in found]
        run = COCOeval(truth, truth.loadRes(results), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return round(float(run.stats[1]), 3)


os.mkdir("pictures")
Image.new("RGB", (WIDTH, HEIGHT)).save("pictures/0.png")
write("read.json", coco)
check("as read, iscrowd", [0, 1], flags(coco))
check("as read, AP50", 1.0, ap50("read.json"))

written = Coco.from_coco_dict_or_path("read.json").json
write("sahi.json", written)
check("sahi, iscrowd", [0, 0], flags(written))
check("sahi, outline of the region", [], max(written["annotations"], key=lambda a: a["bbox"][0])["segmentation"])
check("sahi, AP50", 0.168, ap50("sahi.json"))
tiles, _ = slice_coco("read.json", "pictures", "tiles", output_dir="tiles", slice_height=80, slice_width=60)
check("sahi, iscrowd in any tile", False, any(flags(tiles)))

# The ids are set to start at 1, since globox counts from 0, which pycocotools takes for no match.
boxes = AnnotationSet.from_coco("read.json")
boxes.save_coco("globox.json", imageid_to_id={"0.png": 1}, label_to_id={"person": 1}, auto_ids=True)
with open("globox.json") as file:
    written = json.load(file)
for annotation in written["annotations"]:
    annotation["id"] += 1
write("globox.json", written)
check("globox, iscrowd", [0, 0], flags(written))
check("globox, AP50", 0.168, ap50("globox.json"))
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
