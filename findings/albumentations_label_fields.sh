#!/usr/bin/env bash
# Albumentations: what is put into `label_fields` comes back changed.
#
# Guess: label fields travel with their boxes as they are, so that an annotation's id can tell which object a box is, after
#   boxes have been cut away.
# What happens: numbers go through float32. Whole numbers come back as floats, and above 16 777 216 as other numbers; a
#   number beside a string comes back as a string; pairs come back as one flat list, twice as long as the boxes.
# Why it matters: the ids of COCO's crowd regions have twelve digits, and ids built from an image's number and a counter get
#   as large. The lookup by id then finds another object or none; two neighbouring ids become one.
#
# Seen on 2026-11-28 with albumentations 2.0.8, opencv-python-headless 4.14.0.94, numpy 2.4.6, Python 3.11:
#   [3, 16777217]                    comes back as [3.0, 16777216.0]
#   [900100259690, 900100259691]     [900100259840.0, 900100259840.0]
#   ["b", 1]                         ['b', '1']
#   [(1, 2), (3, 4)]                 [1, 2, 3, 4]
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check \
    albumentations==2.0.8 albucore==0.0.24 opencv-python-headless==4.14.0.94 numpy==2.4.6
cd "$dir"
NO_ALBUMENTATIONS_UPDATE=1 venv/bin/python - <<'PY'
import sys

import albumentations
import numpy as np

failed = []


def check(what, recorded, seen):
    print(f"{what}: recorded {recorded}, seen {seen}")
    if repr(recorded) != repr(seen):
        failed.append(what)


def through(labels):
    """What comes back of the labels of two boxes, when nothing is done to the picture."""
    boxes = albumentations.BboxParams(format="pascal_voc", label_fields=["ids"])
    out = albumentations.Compose([albumentations.NoOp(p=1.0)], bbox_params=boxes)(
        image=np.zeros((40, 40, 3), np.uint8), bboxes=[[1, 1, 20, 20], [5, 5, 30, 30]], ids=labels
    )
    assert len(out["bboxes"]) == 2
    return [value.item() if hasattr(value, "item") else value for value in out["ids"]]


check("small ids", [3.0, 4.0], through([3, 4]))
check("2^24 + 1", [3.0, 16777216.0], through([3, 16777217]))
check("neighbouring ids of twelve digits", [900100259840.0, 900100259840.0], through([900100259690, 900100259691]))
check("a number beside a string", ["b", "1"], through(["b", 1]))
check("pairs", [1, 2, 3, 4], through([(1, 2), (3, 4)]))
check("strings", ["b", "a"], through(["b", "a"]))
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
