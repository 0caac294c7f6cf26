#!/usr/bin/env bash
# hotcoco: a mask AP is given for ground truth that has no masks.
#
# Guess: `iouType="segm"` on objects without `segmentation` is an error, as in pycocotools and faster-coco-eval.
# What happens: hotcoco fills each object's box and scores the predicted masks against that, for single objects among
#   outlined ones too, without a word. The correct mask of anything that is not a rectangle then counts as a poor one, and a
#   model that fills its boxes as a perfect one. An empty list (`"segmentation": []`) is another thing again: a mask without
#   a pixel, which nothing can match.
# Why it matters: exports of boxes leave the key out, wholly or for single objects. The number comes out and looks like a
#   mask AP; it cannot be compared with any other, and the better model has the lower one.
#
# Seen on 2026-11-28 with hotcoco 1.3.0, pycocotools 2.0.11, faster-coco-eval 1.8.0, numpy 2.4.6, Python 3.11; a triangle
# that fills half of its box:
#   ground truth        prediction   hotcoco AP, AP50     pycocotools     faster-coco-eval
#   triangle            triangle     1.0, 1.0             1.0, 1.0        1.0, 1.0
#   no segmentation     triangle     0.1, 1.0             KeyError        KeyError
#   no segmentation     full box     1.0, 1.0             KeyError        KeyError
#   segmentation []     triangle     0.0, 0.0             IndexError      0.0, 0.0
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check \
    hotcoco==1.3.0 pycocotools==2.0.11 faster-coco-eval==1.8.0 numpy==2.4.6
cd "$dir"
venv/bin/python - 2>messages <<'PY' || { cat messages; exit 1; }
import contextlib
import io
import json
import sys

import faster_coco_eval
import hotcoco
from pycocotools import coco as reference
from pycocotools import cocoeval as reference_eval
from pycocotools import mask as masks

failed = []


def check(what, recorded, seen):
    print(f"{what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


TOOLS = {
    "hotcoco": (hotcoco.COCO, hotcoco.COCOeval),
    "pycocotools": (reference.COCO, reference_eval.COCOeval),
    "faster-coco-eval": (faster_coco_eval.COCO, faster_coco_eval.COCOeval_faster),
}
TRIANGLE = [[20, 20, 80, 80, 20, 80]]
SQUARE = [[20, 20, 80, 20, 80, 80, 20, 80]]


def score(tool, outline, predicted):
    truth = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 20, 60, 60], "area": 1800, "iscrowd": 0}
    if outline is not None:
        truth["segmentation"] = outline
    coco = {
        "images": [{"id": 1, "file_name": "0.png", "width": 100, "height": 100}],
        "annotations": [truth],
        "categories": [{"id": 1, "name": "sail"}],
    }
    mask = masks.merge(masks.frPyObjects(predicted, 100, 100))
    mask["counts"] = mask["counts"].decode()
    found = [{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": mask}]
    for name, content in (("truth.json", coco), ("found.json", found)):
        with open(name, "w") as file:
            json.dump(content, file)
    read, evaluator = TOOLS[tool]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            truth = read("truth.json")
            run = evaluator(truth, truth.loadRes("found.json"), "segm")
            run.evaluate()
            run.accumulate()
            run.summarize()
        except Exception as error:
            return type(error).__name__
    return [round(float(value), 3) for value in run.stats[:2]]


for what, outline, predicted, recorded in [
    ("triangle, triangle", TRIANGLE, TRIANGLE, ([1.0, 1.0], [1.0, 1.0], [1.0, 1.0])),
    ("nothing, triangle", None, TRIANGLE, ([0.1, 1.0], "KeyError", "KeyError")),
    ("nothing, full box", None, SQUARE, ([1.0, 1.0], "KeyError", "KeyError")),
    ("empty list, triangle", [], TRIANGLE, ([0.0, 0.0], "IndexError", [0.0, 0.0])),
]:
    for tool, value in zip(TOOLS, recorded, strict=True):
        check(f"{what}, {tool}", value, score(tool, outline, predicted))
with open("messages") as file:
    check("messages", "", file.read())
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
