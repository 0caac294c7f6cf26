#!/usr/bin/env bash
# Hugging Face datasets: a class folder called `train`, or one with the word `test` in its name, hides the other classes.
#
# Guess: a folder of class folders is read as classes; the words train, test and validation make splits only where the
#   folders at that level are splits.
# What happens: one folder is enough. `bus`, `car`, `train` (COCO and CIFAR-100 both have a class `train`) is read as the
#   pictures of `train` alone, as the split "train", without a column of labels; `flask`, `test-tube` as the one split
#   "test". The other folders' pictures are left out. No error, no warning.
# Why it matters: the word stands in real class names, and the split that appears is the one that a training script asks
#   for. Where the labels are not looked at (a generator, a self-supervised model), the model learns from one class of the
#   three. With one folder renamed, everything is there.
#
# Seen on 2026-11-28 with datasets 5.2.0, pillow 13.0.0, Python 3.11, three pictures in each folder:
#   bus, car, train (or "freight train"): {'train': 3 pictures}, no labels; bus, car, trains: {'train': 9}, three classes
#   flask, test-tube: {'test': 3}, no labels; flask, testtube: {'train': 6}, two classes; cable, dev_board: {'validation': 3}
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check datasets==5.2.0 pillow==13.0.0 numpy==2.4.6
cd "$dir"
HF_HOME="$dir/home" HF_DATASETS_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 venv/bin/python - 2>messages <<'PY' || { cat messages; exit 1; }
import os
import sys

from datasets import load_dataset
from PIL import Image

failed = []


def check(what, recorded, seen):
    print(f"{what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


def read(*classes):
    root = "-".join(classes).replace(" ", "_")
    for number, name in enumerate(classes):
        os.makedirs(f"{root}/{name}")
        for picture in range(3):
            Image.new("RGB", (8, 8), (number, picture, 0)).save(f"{root}/{name}/{number}{picture}.png")
    splits = load_dataset("imagefolder", data_dir=root)
    return {
        split: (len(part), part.features["label"].names if "label" in part.features else None)
        for split, part in splits.items()
    }


for classes, recorded in [
    (("bus", "car", "lorry"), {"train": (9, ["bus", "car", "lorry"])}),
    (("bus", "car", "train"), {"train": (3, None)}),
    (("bus", "car", "trains"), {"train": (9, ["bus", "car", "trains"])}),
    (("bus", "car", "freight train"), {"train": (3, None)}),
    (("flask", "test-tube"), {"test": (3, None)}),
    (("flask", "testtube"), {"train": (6, ["flask", "testtube"])}),
    (("cable", "dev_board"), {"validation": (3, None)}),
]:
    check(" | ".join(classes), recorded, read(*classes))
with open("messages") as file:
    check("messages", "", file.read())
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
