#!/usr/bin/env bash
# SAHI and PyLabel: the YOLO files carry COCO's category ids where the class numbers belong.
#
# Guess: an export to YOLO counts the classes from 0 in the order of the names in its YAML file, whatever the ids in the COCO
#   file were, as supervision's does.
# What happens: with their default arguments both write the id as it is. COCO's ids mostly start at 1, so that each object
#   gets the name after its own, and the last class's objects a number that the YAML file does not have.
# Why it matters: the files are complete and well formed. A trainer that checks the largest number stops; where the last
#   class is rare (or missing from the split), everything is trained and reported under the wrong name.
#
# Seen on 2026-11-28 with sahi 0.12.8, pylabel 0.1.55, supervision 0.31.2, Python 3.11; ids 1 cat, 2 dog, 3 bird and one
#   object of cat, one of dog:
#   sahi         names cat, dog, bird; numbers 1, 2: read as dog, bird
#   pylabel      names cat, dog; numbers 1, 2: read as dog and as a class that is not there
#   supervision  read as cat, dog
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check sahi==0.12.8 pylabel==0.1.55 supervision==0.31.2 \
    pillow==12.3.0 numpy==2.4.6 pyyaml==6.0.4
cd "$dir"
venv/bin/python - 2>messages <<'PY' || { cat messages; exit 1; }
import json
import os
import sys
from pathlib import Path

import supervision
import yaml
from PIL import Image
from pylabel import importer
from sahi.utils.coco import Coco

failed = []


def check(what, recorded, seen):
    print(f"{what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


os.mkdir("pictures")
Image.new("RGB", (200, 200)).save("pictures/0.png")
names = {1: "cat", 2: "dog", 3: "bird"}


def annotation(number, category, x):
    outline = [[x, 20, x + 40, 20, x + 40, 80, x, 80]]
    return {
        "id": number, "image_id": 1, "category_id": category, "bbox": [x, 20, 40, 60], "area": 2400, "iscrowd": 0,
        "segmentation": outline,
    }  # fmt: skip


coco = {
    "images": [{"id": 1, "file_name": "0.png", "width": 200, "height": 200}],
    "annotations": [annotation(1, 1, 10), annotation(2, 2, 100)],
    "categories": [{"id": number, "name": name, "supercategory": "animal"} for number, name in names.items()],
}
Path("coco.json").write_text(json.dumps(coco))


def read(label_file, yaml_file):
    """The YAML file's names, the objects' class numbers from left to right, and what these are called."""
    rows = sorted((line.split() for line in Path(label_file).read_text().splitlines()), key=lambda row: float(row[1]))
    called = yaml.safe_load(Path(yaml_file).read_text())["names"]
    numbers = [int(row[0]) for row in rows]
    return called, numbers, [called[number] if number < len(called) else None for number in numbers]


Coco.from_coco_dict_or_path("coco.json", image_dir="pictures").export_as_yolo("sahi", train_split_rate=1.0)
check("sahi", (["cat", "dog", "bird"], [1, 2], ["dog", "bird"]), read("sahi/train/0.txt", "sahi/data.yml"))

dataset = importer.ImportCoco("coco.json", path_to_images=str(Path("pictures").resolve()))
dataset.export.ExportToYoloV5(output_path="pylabel/labels", yaml_file="dataset.yaml")
check("pylabel", (["cat", "dog"], [1, 2], ["dog", None]), read("pylabel/labels/0.txt", "pylabel/dataset.yaml"))

dataset = supervision.DetectionDataset.from_coco("pictures", "coco.json")
dataset.as_yolo(annotations_directory_path="supervision/labels", data_yaml_path="supervision/data.yaml")
called, numbers, seen = read("supervision/labels/0.txt", "supervision/data.yaml")
check("supervision", ["cat", "dog"], seen)
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
