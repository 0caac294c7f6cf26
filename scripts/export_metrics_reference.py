#!/usr/bin/env python3
"""Writes the reference values that the tests of `crates/metrics` compare with.

    python scripts/export_metrics_reference.py [classification detection generation]

Made with scikit-learn 1.9.1, SciPy 1.17.1, NumPy 2.4.6 and pycocotools 2.0.11; every random draw comes from
`numpy.random.default_rng` with the seed stated in the function. The files land in `crates/metrics/fixtures/`.
"""

import importlib.metadata
import json
import pathlib
import sys
import warnings

import numpy as np

OUT = pathlib.Path(__file__).resolve().parent.parent / "crates" / "metrics" / "fixtures"


def write(name, content):
    OUT.mkdir(parents=True, exist_ok=True)
    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("scikit-learn", "scipy", "numpy", "pycocotools"))
    content = {"made_by": f"scripts/export_metrics_reference.py, {versions}", **content}
    path = OUT / f"{name}.json"
    path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in content.items()) + "\n}\n")
    print(f"{path.name}: {path.stat().st_size} bytes")


# --- classification and segmentation -----------------------------------------------------------------


def classification():
    from scipy.ndimage import distance_transform_edt
    from sklearn import metrics

    rng = np.random.default_rng(31)

    # Top-k, with scores that are exact in float32 and without ties.
    scores = rng.normal(size=(60, 7)).astype(np.float32)
    targets = rng.integers(0, 7, 60)
    top_k = {"scores": scores.astype(float).reshape(-1).tolist(), "targets": targets.tolist()}
    for k in (1, 3, 5):
        top_k[f"top{k}"] = metrics.top_k_accuracy_score(targets, scores, k=k, labels=range(7))

    # Confusion: all classes there; class 3 absent; class 3 only predicted, with ignored pixels.
    confusion = []
    for present, predicted_set, ignore in ((4, 4, None), (3, 3, None), (3, 4, 255)):
        truth = rng.integers(0, present, 200)
        predicted = np.where(rng.random(200) < 0.6, truth, rng.integers(0, predicted_set, 200))
        stored = truth.copy()
        keep = np.ones(200, bool)
        if ignore is not None:
            keep = rng.random(200) > 0.2
            stored[~keep] = ignore
        t, p = truth[keep], predicted[keep]
        counts = metrics.confusion_matrix(t, p, labels=range(4))
        union = sorted(set(t) | set(p))
        nan = np.nan
        precision, recall, f1, support = metrics.precision_recall_fscore_support(t, p, labels=range(4), zero_division=nan)
        iou = metrics.jaccard_score(t, p, labels=range(4), average=None, zero_division=0)
        # scikit-learn calls the IoU and F1 of a class that is nowhere 0; undefined is meant here.
        nowhere = [c not in union for c in range(4)]
        none = lambda v, c: None if nowhere[c] or np.isnan(v) else float(v)
        freq = counts.sum(1) / counts.sum()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            case = dict(
                classes=4, ignore=ignore, truth=stored.tolist(), predicted=predicted.tolist(),
                counts=counts.reshape(-1).tolist(), accuracy=metrics.accuracy_score(t, p),
                mean_iou=metrics.jaccard_score(t, p, labels=union, average="macro", zero_division=0),
                mean_accuracy=metrics.balanced_accuracy_score(t, p),
                mean_f1=metrics.f1_score(t, p, labels=union, average="macro", zero_division=0),
                mean_precision=metrics.precision_score(t, p, labels=union, average="macro", zero_division=0),
                fw_iou=float((freq * iou).sum()),
                per_class=[
                    dict(precision=none(precision[c], c), recall=none(recall[c], c), f1=none(f1[c], c), iou=none(iou[c], c))
                    for c in range(4)
                ],
            )
        confusion.append(case)

    # Log loss and expected calibration error (bins hold their upper edge).
    logits = (rng.normal(size=(300, 4)) * 2).astype(np.float32)
    targets = np.where(rng.random(300) < 0.5, logits.argmax(1), rng.integers(0, 4, 300))
    e = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True).astype(np.float64))
    p = e / e.sum(1, keepdims=True)
    calibration = {"logits": logits.astype(float).reshape(-1).tolist(), "targets": targets.tolist()}
    calibration["log_loss"] = metrics.log_loss(targets, p, labels=range(4))
    for bins in (10, 15):
        confidence, right = p.max(1), p.argmax(1) == targets
        edges = np.linspace(0, 1, bins + 1)
        ece = 0.0
        for lo, hi in zip(edges[:-1], edges[1:]):
            inside = (confidence > lo) & (confidence <= hi)
            if inside.any():
                ece += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
        calibration[f"ece{bins}"] = float(ece)

    # Boundary F1 by SciPy's exact distance transform.
    def edge(m, c, counted):
        other = np.pad((m != c) & counted, 1)
        near = other[:-2, 1:-1] | other[2:, 1:-1] | other[1:-1, :-2] | other[1:-1, 2:]
        return (m == c) & counted & near

    images = []
    for w, h in ((17, 12), (9, 20), (14, 14)):
        yy, xx = np.mgrid[:h, :w]
        truth = ((xx - w / 2) ** 2 + (yy - h / 3) ** 2 < (w / 3) ** 2).astype(int)
        predicted = ((xx - w / 2 + 1) ** 2 + (yy - h / 3) ** 2 < (w / 3) ** 2).astype(int)
        if w == 14:
            predicted[10:, 10:] = 2
        flip = rng.random((h, w)) < 0.03
        predicted = np.where(flip, 1 - np.minimum(predicted, 1), predicted)
        truth[:, :2] = 255
        images.append((truth, predicted))
    boundary = []
    for tolerance in (1.0, 2.5, 0.0075, 0.12):
        sums, n = np.zeros(3), np.zeros(3)
        for truth, predicted in images:
            h, w = truth.shape
            limit = tolerance if tolerance >= 1 else np.ceil(tolerance * np.hypot(w, h))
            counted = truth != 255
            for c in range(3):
                a, b = edge(truth, c, counted), edge(predicted, c, counted)
                if not a.any() and not b.any():
                    continue
                n[c] += 1
                if a.any() and b.any():
                    pr = (distance_transform_edt(~a)[b] <= limit).mean()
                    re = (distance_transform_edt(~b)[a] <= limit).mean()
                    sums[c] += 0 if pr + re == 0 else 2 * pr * re / (pr + re)
        per_class = [float(s / k) if k else None for s, k in zip(sums, n)]
        boundary.append(
            dict(
                tolerance=tolerance,
                images=[dict(width=t.shape[1], truth=t.reshape(-1).tolist(), predicted=q.reshape(-1).tolist()) for t, q in images],
                per_class=per_class, mean=float(np.mean([v for v in per_class if v is not None])),
            )
        )
    write("classification", dict(top_k=top_k, confusion=confusion, calibration=calibration, boundary=boundary))


GROUPS = {"classification": classification}

if __name__ == "__main__":
    for name in sys.argv[1:] or GROUPS:
        GROUPS[name]()
