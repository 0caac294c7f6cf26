#!/usr/bin/env bash
# Keras: RandomCrop moves the boxes by the wrong axis, and leaves them outside the picture.
#
# Guess: the boxes of a crop are those of the picture less the crop's corner, cut at all four borders; an object outside the
#   crop gets the label -1, as CenterCrop and RandomTranslation of the same package do it.
# What happens: the crop's vertical start is taken from x and its horizontal start from y. The boxes are cut at 0 alone, not
#   at the right and the bottom, and an object that is not in the crop keeps its label.
# Why it matters: the layer takes and returns boxes without a complaint, so that a detector is trained on boxes that lie
#   beside their objects, outside the picture or have no height. The masks of the same call are right.
#
# Seen on 2026-11-28 with Keras 3.15.1 on JAX 0.10.2, numpy 2.4.6, Python 3.11: a picture of 160x100 with one object, crops
#   of 100x80 with the seeds 0 to 19: 1 box of 20 is right (its crop starts at 20, 20), 8 leave the crop, 12 are cut in
#   height where the whole object is seen; e.g. seed 1 gives 48 0 108 17 for an object at 7 18 67 58. In 21 of 40 crops of
#   30x30 the object is gone, with its label alive in all 21. CenterCrop is right.
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$dir"
KERAS_HOME="$dir" KERAS_BACKEND=jax venv/bin/python - <<'PY'
import sys

import keras
import numpy as np

failed = []


def check(what, recorded, seen):
    print(f"{what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


picture = np.zeros((100, 160, 3), np.float32)
picture[20:60, 50:110] = 255
box = [50, 20, 110, 60]


def crop(layer):
    """The layer's box and label, and the box of what is seen of the object (none where it is not in the crop)."""
    out = layer(
        {
            "images": picture[None],
            "segmentation_masks": (picture[None, ..., :1] > 0).astype(np.float32),
            "bounding_boxes": {"boxes": np.array([[box]], np.float32), "labels": np.array([[7]])},
        },
        training=True,
    )
    image = np.asarray(out["images"])[0, ..., 0]
    assert np.array_equal(image > 0, np.asarray(out["segmentation_masks"])[0, ..., 0] > 0)
    ys, xs = np.nonzero(image)
    seen = [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1] if len(xs) else None
    boxes = out["bounding_boxes"]
    return np.asarray(boxes["boxes"])[0, 0].tolist(), int(np.asarray(boxes["labels"])[0, 0]), seen


right = swapped = outside = flat = 0
for seed in range(20):
    given, label, seen = crop(keras.layers.RandomCrop(80, 100, bounding_box_format="xyxy", seed=seed))
    print("   ", seed, given, label, "the object is at", seen)
    right += given == seen and label == 7
    if seen[1] > 0:  # the picture was moved up by 20 - seen[1]
        swapped += given[0] == 50 - (20 - seen[1])
    outside += given[2] > 100 or given[3] > 80
    flat += given[3] - given[1] < 40 and seen is not None and seen[3] - seen[1] == 40
check("right boxes of 20 (where both starts are 20)", 1, right)
check("boxes moved sideways by the crop's vertical start, of 18 that show it", 18, swapped)
check("boxes that leave the crop", 8, outside)
check("boxes cut in height though the object is whole", 12, flat)

small = [crop(keras.layers.RandomCrop(30, 30, bounding_box_format="xyxy", seed=seed)) for seed in range(40)]
check("small crops without the object, of 40", 21, sum(seen is None for _, _, seen in small))
check("of these with a live label", 21, sum(seen is None and label == 7 for _, label, seen in small))

given, label, seen = crop(keras.layers.CenterCrop(80, 100, bounding_box_format="xyxy"))
check("CenterCrop's box is right", True, given == seen and label == 7)
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
