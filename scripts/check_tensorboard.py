#!/usr/bin/env python3
"""Reads the event files that firesight-report writes with the real tensorboard package.

    cargo run -p firesight-report --example sample_events -- FOLDER   # writes what EXPECTED holds
    python scripts/check_tensorboard.py FOLDER                        # checks it, exit code 1 if not

    python scripts/check_tensorboard.py --list RUN                    # lists any run's tags and steps

Checked with tensorboard 2.21.0, Python 3.11. TensorBoard checks every record's checksums itself; here
also the scalars' values to the last bit of a float32, the pictures' pixels, the recipe's text, and that
the steps after a resume replace those of the session that was killed.
"""

import io
import struct
import sys

from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# What examples/sample_events.rs writes.
RECIPE = 'seed = 42\n# *stars* and <b>tags</b>\n[data]\nsource = { digits = {} }\n'
STEPS = list(range(1, 9))


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def load(folder):
    accumulator = EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def list_tags(folder):
    events = load(folder)
    for tag in events.Tags()["scalars"]:
        points = events.Scalars(tag)
        print(f"scalar {tag}: {len(points)} points, steps {points[0].step} to {points[-1].step}, last {points[-1].value:g}")
    for tag in events.Tags()["images"]:
        for image in events.Images(tag):
            print(f"image  {tag}: step {image.step}, {image.width} x {image.height}")
    for tag in events.Tags()["tensors"]:
        for tensor in events.Tensors(tag):
            print(f"text   {tag}: step {tensor.step}, {len(tensor.tensor_proto.string_val[0])} bytes")


def check(folder):
    events = load(folder)
    losses = events.Scalars("train/loss")
    assert [point.step for point in losses] == STEPS, [point.step for point in losses]
    # Steps 1 to 4 are the first session's, 5 to 8 the resumed one's (the killed one had got to 6).
    expected = [float32(1 / step if step <= 4 else 10 / step) for step in STEPS]
    assert [point.value for point in losses] == expected, losses
    times = [point.wall_time for point in losses]
    assert times == sorted(times) and times[0] > 1.6e9, times

    (image,) = events.Images("preview/epoch 1")
    assert (image.step, image.width, image.height) == (4, 3, 2)
    picture = Image.open(io.BytesIO(image.encoded_image_string))
    pixels = [picture.getpixel((x, y)) for y in range(2) for x in range(3)]
    assert pixels == [(40 * i, 255 - 40 * i, 7) for i in range(6)], pixels

    (text,) = events.Tensors("recipe")
    (value,) = text.tensor_proto.string_val
    assert "".join(line[4:] for line in value.decode().splitlines(True)) == RECIPE, value
    assert all(line.startswith("    ") for line in value.decode().splitlines())
    metadata = events.SummaryMetadata("recipe")
    assert metadata.plugin_data.plugin_name == "text"
    print(f"tensorboard read {len(losses)} scalars, 1 image and the recipe as written")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--list":
        list_tags(sys.argv[2])
    elif len(sys.argv) == 2:
        check(sys.argv[1])
    else:
        sys.exit(__doc__)
