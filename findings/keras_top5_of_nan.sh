#!/usr/bin/env bash
# Keras on JAX: a model whose outputs are all NaN has a top-5 accuracy of 100 %.
#
# Guess: a prediction of NaN is no hit, so that the top-k accuracy of a diverged model is 0; the same for each backend.
# What happens: with the JAX backend every sample counts as right, at k = 1 too. The code takes a NaN at the right class for
#   the lowest score, but then counts how many scores are greater, and of NaN none is. The NumPy backend gives 0. Plain
#   accuracy takes NaN for class 0. (Equal finite scores are right at every k, with both backends.)
# Why it matters: a run that diverges gets the best possible score in the very epoch: the checkpoint kept by
#   `ModelCheckpoint(monitor="val_top5", mode="max", save_best_only=True)` is the one full of NaN, over all the good ones.
#
# Seen on 2026-11-28 with Keras 3.15.1, JAX 0.10.2, numpy 2.4.6, Python 3.11; 100 samples, 10 classes, weights of NaN:
#   jax    loss nan, accuracy 0.1, top-1 1.0, top-5 1.0; the checkpoint kept after scores of 0.6 and 0.7 holds NaN
#   numpy  loss nan, accuracy 0.1, top-1 0.0, top-5 0.0
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$dir"
export KERAS_HOME="$dir"
cat > look.py <<'PY'
import sys

import keras
import numpy as np

failed = []


def check(what, recorded, seen):
    print(f"{keras.backend.backend()}  {what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


inputs = keras.Input((10,))
model = keras.Model(inputs, keras.layers.Dense(10, use_bias=False, activation="softmax")(inputs))
metrics = keras.metrics
model.compile(
    loss="sparse_categorical_crossentropy",
    metrics=[
        metrics.SparseCategoricalAccuracy(name="accuracy"),
        metrics.SparseTopKCategoricalAccuracy(1, name="top1"),
        metrics.SparseTopKCategoricalAccuracy(5, name="top5"),
    ],
)
labels = np.arange(100) % 10
pictures = np.eye(10, dtype=np.float32)[labels]


def evaluate(weights):
    model.set_weights([weights])
    scores = model.evaluate(pictures, labels, verbose=0, return_dict=True)
    return {name: round(float(value), 3) for name, value in scores.items()}


def share_right(count):
    """Weights that find `count` of the ten classes and put the others last."""
    sign = np.where(np.arange(10) < count, 9.0, -9.0)
    return np.diag(sign).astype(np.float32)


jax = keras.backend.backend() == "jax"
scores = evaluate(share_right(7))
check("good model", [0.7, 0.7, 0.7], [scores[name] for name in ("accuracy", "top1", "top5")])
scores = evaluate(np.full((10, 10), np.nan, np.float32))
check("NaN, loss", "nan", str(scores["loss"]))
check("NaN, accuracy", 0.1, scores["accuracy"])
check("NaN, top-1", 1.0 if jax else 0.0, scores["top1"])
check("NaN, top-5", 1.0 if jax else 0.0, scores["top5"])

keep = keras.callbacks.ModelCheckpoint("best.keras", monitor="val_top5", mode="max", save_best_only=True, verbose=0)
keep.set_model(model)
for epoch, weights in enumerate([share_right(6), share_right(7), np.full((10, 10), np.nan, np.float32), share_right(8)]):
    keep.on_epoch_end(epoch, {"val_top5": evaluate(weights)["top5"]})
kept = keras.saving.load_model("best.keras", compile=False).get_weights()[0]
check("the kept checkpoint holds NaN", jax, bool(np.isnan(kept).any()))
check("the kept score", 1.0 if jax else 0.8, keep.best)
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
KERAS_BACKEND=jax venv/bin/python look.py
KERAS_BACKEND=numpy venv/bin/python look.py
