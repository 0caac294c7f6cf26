#!/usr/bin/env bash
# Keras: a NaN as the first score stays the best one, so that early stopping ends a run that gets better every epoch.
#
# Guess: a NaN is never the best score: the first number after it is, or (as a NaN in a later epoch) it merely counts as an
#   epoch without a gain.
# What happens: the first score is taken as it is, and no number is less than NaN (or greater). EarlyStopping counts every
#   epoch after it as one without a gain and, asked to, restores the weights of the NaN; ModelCheckpoint with
#   `save_best_only` saves the first epoch and none after it; ReduceLROnPlateau lowers the rate again and again. The same NaN
#   one epoch later does no harm. Nothing is printed about it.
# Why it matters: a first validation is where NaN happens by itself: a loss in half precision before the scale has settled, a
#   score that divides by the predictions (none yet), a class without a sample. The run ends after `patience` epochs with
#   the weights of its worst one.
#
# Seen on 2026-11-28 with Keras 3.15.1 on JAX 0.10.2, numpy 2.4.6, Python 3.11; eight epochs, patience 3 (plateau: 2):
#   nan .9 .8 .7 .6 .5 .4 .3   stopped after 4 epochs, weights of epoch 1, saved: 1, rate 1e-05 of 1e-02
#   1 nan .8 .7 .6 .5 .4 .3    8 epochs, weights of epoch 8, saved: 1 3 4 5 6 7 8, rate 1e-02
set -euo pipefail
dir="$(mktemp -d)"
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 numpy==2.4.6
cd "$dir"
KERAS_HOME="$dir" KERAS_BACKEND=jax venv/bin/python - <<'PY'
import os
import sys
import tempfile

import keras
import numpy as np

failed = []


def check(what, recorded, seen):
    print(f"{what}: recorded {recorded}, seen {seen}")
    if recorded != seen:
        failed.append(what)


class Scores(keras.callbacks.Callback):
    """Gives each epoch its score, and marks the weights with the epoch's number."""

    def __init__(self, scores):
        super().__init__()
        self.scores = scores

    def on_epoch_end(self, epoch, logs=None):
        logs["score"] = self.scores[epoch]
        self.model.set_weights([np.full((1, 1), epoch + 1.0)])


def run(scores, callback):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    data = np.zeros((2, 1))
    history = model.fit(data, data, epochs=len(scores), verbose=0, callbacks=[Scores(scores), callback])
    return len(history.epoch), int(model.get_weights()[0][0, 0]), float(model.optimizer.learning_rate)


nan = float("nan")
rest = [0.8, 0.7, 0.6, 0.5, 0.4, 0.3]
watch = {"monitor": "score", "mode": "min"}
for what, scores, ended, saved, rate in [
    ("NaN first", [nan, 0.9] + rest, (4, 1), "1", 1e-5),
    ("NaN second", [1.0, nan] + rest, (8, 8), "1345678", 1e-2),
    ("no NaN", [1.0, 0.9] + rest, (8, 8), "12345678", 1e-2),
]:
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True, **watch)
    check(f"{what}, epochs and the epoch of the weights", ended, run(scores, stop)[:2])
    folder = tempfile.mkdtemp(dir=".")
    run(scores, keras.callbacks.ModelCheckpoint(folder + "/{epoch}.keras", save_best_only=True, **watch))
    check(f"{what}, saved", saved, "".join(sorted(name.split(".")[0] for name in os.listdir(folder))))
    lowered = run(scores, keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.1, **watch))[2]
    check(f"{what}, rate", rate, round(lowered, 7))
sys.exit(f"not as recorded: {failed}" if failed else 0)
PY
