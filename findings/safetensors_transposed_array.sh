#!/usr/bin/env bash
# safetensors' numpy writer: a transposed array is written in the order of the array it is a view of.
#
# Guess: `save_file` writes the values that the array shows, as its 0.7.0 does; or it refuses an array that is not contiguous.
# What happens: 0.8.0 writes the memory behind the view under the view's shape. A kernel turned by `.T` or `np.transpose`
#   comes back with the right shape, the right dtype and its numbers in the wrong places; no warning, no error. The
#   docstring asks for contiguous arrays, but nothing looks, and 0.7.0 with the same sentence writes the right values.
# Why it matters: turning is what every conversion of weights does (Keras' HWIO kernels to PyTorch's OIHW, a dense layer's
#   [in, out] to [out, in]). The converted file loads without a complaint, with every such layer scrambled.
#   `np.ascontiguousarray` around each array avoids it.
#
# Seen on 2026-11-28 with safetensors 0.8.0 and 0.7.0, numpy 2.4.6, Python 3.11:
#   0.8.0  dense.T: shown [[0, 3], [1, 4], [2, 5]]  loaded [[0, 1], [2, 3], [4, 5]]
#   0.8.0  conv HWIO to OIHW: 2 of 24 numbers in their place
#   0.7.0  both as shown
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > look.py <<'PY'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

failed = []


def check(what, recorded, seen):
    print(f"{safetensors.__version__}  {what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


broken = sys.argv[1] == "broken"
dense = np.arange(6, dtype=np.float32).reshape(2, 3)
conv = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)
weights = {
    "dense": dense.T,
    "conv": conv.transpose(3, 2, 0, 1),
    "copied": np.ascontiguousarray(dense.T),
}
save_file(weights, "weights.safetensors")
loaded = load_file("weights.safetensors")

for name, array in weights.items():
    check(f"shape of {name}", array.shape, loaded[name].shape)
shown = [[0, 3], [1, 4], [2, 5]]
check("dense as shown", shown, weights["dense"].tolist())
check("dense as loaded", [[0, 1], [2, 3], [4, 5]] if broken else shown, loaded["dense"].tolist())
check("contiguous copy as loaded", shown, loaded["copied"].tolist())
in_place = int((loaded["conv"] == weights["conv"]).sum())
check("numbers of the conv kernel in their place, of 24", 2 if broken else 24, in_place)
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
for version in 0.7.0 0.8.0; do
    python3 -m venv "venv-$version"
    "venv-$version/bin/pip" install -q --disable-pip-version-check numpy==2.4.6 "safetensors==$version"
done
venv-0.7.0/bin/python look.py right
venv-0.8.0/bin/python look.py broken
