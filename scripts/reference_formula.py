"""Test weights and images from one documented formula; the description stands in
crates/models/src/formula.rs, whose numbers these are to the bit.

Run alone, it prints the values that formula.rs pins.
"""

import numpy as np

MASK = (1 << 64) - 1
BIAS = 0.1


def seed(name, shape):
    data = name.encode() + b"".join(int(side).to_bytes(8, "little") for side in shape)
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) & MASK
    return value


def stream(name, shape, indices):
    """u(i) in [-1, 1) as float64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed(name, shape)) + (indices.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 8388608.0 - 1.0


def values(name, shape, gain, bias=BIAS):
    last = name.rsplit(".", 1)[-1]
    if last == "running_mean":
        offset, scale = 0.0, 2 * bias
    elif last == "running_var":
        offset, scale = 1.0, 0.5
    elif last == "layer_scale":
        offset, scale = 0.5, 0.25
    elif len(shape) >= 2:
        offset, scale = 0.0, gain * np.sqrt(3.0 / float(np.prod(shape[1:])))
    elif last == "weight":
        offset, scale = 0.75, 0.25
    else:
        offset, scale = 0.0, bias
    u = stream(name, shape, np.arange(int(np.prod(shape))))
    return (offset + scale * u).astype(np.float32).reshape(shape)


def fill(model, gain, bias=BIAS):
    """Fills a torch module's parameters and running statistics in place."""
    import torch

    state = model.state_dict()
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        tensor.copy_(torch.from_numpy(values(name, tuple(tensor.shape), gain, bias)))


def images(shape):
    count, channels, height, width = shape
    grid = (count, channels, -(-height // 8), -(-width // 8))
    plane, y, x = np.meshgrid(np.arange(count * channels), np.arange(height), np.arange(width), indexing="ij")
    value = (
        0.5 * stream("input", shape, (plane * height + y) * width + x)
        + stream("input.block", grid, (plane * grid[2] + y // 8) * grid[3] + x // 8)
        + stream("input.plane", (count, channels), plane)
    )
    return value.astype(np.float32).reshape(shape)


if __name__ == "__main__":
    show = lambda array: [hex(v) for v in np.asarray(array, np.float32).reshape(-1).view(np.uint32)]
    print("FORMULA_CONV", show(values("conv1.weight", (2, 1, 1, 2), 1.25)))
    print("FORMULA_VAR", show(values("bn1.running_var", (3,), 1.25)))
    print("FORMULA_SCALE", show(values("bn1.weight", (3,), 1.25)))
    print("FORMULA_IMAGE", show(images((2, 1, 9, 1)).reshape(-1)[7:11]))
