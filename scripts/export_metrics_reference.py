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


# --- detection ---------------------------------------------------------------------------------------


def detection():
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    rng = np.random.default_rng(32)

    def scene(images, truths, found, tie=False, crowds=0.0, categories=(3, 7, 20, 21), most=(1, 10, 100), empty=False):
        """Boxes of all sizes; detections are shifted truths, wrong classes and noise."""
        truth = {"images": [{"id": int(i)} for i in rng.permutation(images * 3)[:images]], "annotations": [], "categories": [{"id": c, "name": f"c{c}"} for c in categories]}
        results = []
        for n, image in enumerate(truth["images"]):
            if empty and n % 3 == 0:
                continue
            for _ in range(rng.integers(0, truths + 1)):
                side = np.exp(rng.uniform(np.log(8), np.log(220), 2))
                x, y = rng.uniform(0, 300, 2)
                box = [round(float(v), 2) for v in (x, y, *side)]
                crowd = int(rng.random() < crowds)
                category = int(rng.choice(categories[:-1]))  # the last class has no truth
                truth["annotations"].append(
                    dict(id=len(truth["annotations"]) + 1, image_id=image["id"], category_id=category, bbox=box,
                         area=round(float(box[2] * box[3] * rng.uniform(0.5, 1)), 2), iscrowd=crowd)
                )
                for _ in range(rng.integers(0, found + 1)):
                    shift = rng.normal(0, 0.12, 4) * [box[2], box[3], box[2], box[3]]
                    d = [round(float(max(v, 1.0)), 2) for v in np.array(box) + shift]
                    c = category if rng.random() < 0.8 else int(rng.choice(categories))
                    score = float(np.round(rng.random(), 1)) if tie else round(float(rng.random()), 4)
                    results.append(dict(image_id=image["id"], category_id=c, bbox=d, score=score))
        return truth, results, most

    cases = [
        scene(8, 5, 3),
        scene(8, 5, 3, tie=True, crowds=0.3),
        scene(9, 6, 3, tie=True, empty=True, categories=(1, 90)),
        scene(6, 8, 4, crowds=0.2, most=(2, 5, 20)),
        scene(4, 9, 4, tie=True, crowds=0.1, most=(1, 3, 7)),
    ]
    # Truth without any detection; all crowds; objects small only.
    cases.append(scene(3, 4, 0))
    cases.append(scene(4, 4, 2, crowds=1.0))
    stored = []
    for truth, results, most in cases:
        with contextlib.redirect_stdout(io.StringIO()):
            gt = COCO()
            gt.dataset = json.loads(json.dumps(truth))
            gt.createIndex()
            dt = gt.loadRes(json.loads(json.dumps(results))) if results else COCO()
            if not results:
                dt.dataset = {"images": truth["images"], "categories": truth["categories"], "annotations": []}
                dt.createIndex()
            e = COCOeval(gt, dt, "bbox")
            e.params.maxDets = list(most)
            e.evaluate()
            e.accumulate()
            if most == (1, 10, 100):
                e.summarize()
        p, r = e.eval["precision"], e.eval["recall"]
        mean = lambda v: float(v[v > -1].mean()) if (v > -1).any() else -1.0
        stats = [mean(p[:, :, :, 0, 2]), mean(p[0, :, :, 0, 2]), mean(p[5, :, :, 0, 2])]
        stats += [mean(p[:, :, :, a, 2]) for a in (1, 2, 3)]
        stats += [mean(r[:, :, 0, m]) for m in (0, 1, 2)] + [mean(r[:, :, a, 2]) for a in (1, 2, 3)]
        if most == (1, 10, 100):
            assert np.allclose(stats, e.stats, rtol=0, atol=1e-15), (stats, e.stats)
        per_class = [
            dict(
                ap=mean(p[:, :, k, 0, 2]), ap50=mean(p[0, :, k, 0, 2]), ar=mean(r[:, k, 0, 2]), curve=p[0, :, k, 0, 2].tolist(),
                truths=int(sum(a["category_id"] == c and not a["iscrowd"] for a in truth["annotations"])),
            )
            for k, c in enumerate(e.params.catIds)
        ]
        stored.append(dict(truth=truth, results=results, most=list(most), stats=stats, per_class=per_class))

    # VOC: the published evaluation (sort, argmax overlap, cumulative sums), in NumPy.
    voc = []
    for tie in (False, True):
        images = []
        for _ in range(8):
            truth, found = [], []
            for _ in range(rng.integers(0, 5)):
                box = [float(v) for v in np.round(np.concatenate([rng.uniform(0, 100, 2), rng.uniform(5, 60, 2)]), 2)]
                c = int(rng.integers(0, 3))
                truth.append({"bbox": box, "class": c, "difficult": bool(rng.random() < 0.2)})
                for _ in range(rng.integers(0, 4)):
                    d = np.round(np.array(box) + rng.normal(0, 0.12, 4) * np.array([box[2], box[3]] * 2), 2)
                    score = float(np.round(rng.random(), 1 if tie else 4))
                    found.append({"bbox": [float(max(v, 0.5)) for v in d], "class": c if rng.random() < 0.8 else int(rng.integers(0, 4)), "score": score})
            images.append({"truth": truth, "detected": found})
        per_class = []
        for c in range(4):
            total = sum(t["class"] == c and not t["difficult"] for i in images for t in i["truth"])
            rows = [(k, d) for k, i in enumerate(images) for d in i["detected"] if d["class"] == c]
            if total == 0:
                per_class.append(None)
                continue
            order = np.argsort([-d["score"] for _, d in rows], kind="stable")
            tp, fp, used = np.zeros(len(rows)), np.zeros(len(rows)), set()
            for n, at in enumerate(order):
                k, d = rows[at]
                ts = [(m, t) for m, t in enumerate(images[k]["truth"]) if t["class"] == c]
                if ts:
                    b = np.array([t["bbox"] for _, t in ts])
                    q = np.array(d["bbox"])
                    iw = np.clip(np.minimum(b[:, 0] + b[:, 2], q[0] + q[2]) - np.maximum(b[:, 0], q[0]), 0, None)
                    ih = np.clip(np.minimum(b[:, 1] + b[:, 3], q[1] + q[3]) - np.maximum(b[:, 1], q[1]), 0, None)
                    o = iw * ih / (b[:, 2] * b[:, 3] + q[2] * q[3] - iw * ih)
                    m = int(o.argmax())
                    if o[m] >= 0.5:
                        if ts[m][1]["difficult"]:
                            continue
                        key = (k, ts[m][0])
                        (fp if key in used else tp)[n] = 1
                        used.add(key)
                        continue
                fp[n] = 1
            tp, fp = tp.cumsum(), fp.cumsum()
            rec = tp / total
            prec = tp / np.maximum(tp + fp, np.finfo(float).eps)
            eleven = np.mean([prec[rec >= i / 10].max() if (rec >= i / 10).any() else 0 for i in range(11)])
            mrec, mpre = np.concatenate([[0], rec, [1]]), np.concatenate([[0], prec, [0]])
            mpre = np.maximum.accumulate(mpre[::-1])[::-1]
            i = np.where(mrec[1:] != mrec[:-1])[0]
            per_class.append({"eleven": float(eleven), "all": float(((mrec[i + 1] - mrec[i]) * mpre[i + 1]).sum())})
        voc.append({"images": images, "per_class": per_class})
    write("detection", dict(coco=stored, voc=voc))


# --- generation --------------------------------------------------------------------------------------


def generation():
    import scipy.linalg
    from scipy.spatial.distance import cdist

    rng = np.random.default_rng(33)
    cases = []
    # The last two have fewer samples than dimensions: their covariances are singular.
    for n, m, d in ((80, 60, 8), (50, 70, 16), (6, 9, 12), (9, 40, 12)):
        mix = rng.normal(size=(d, d)) / np.sqrt(d)
        a = (rng.normal(size=(n, d)) @ mix + 3).astype(np.float32)
        b = (rng.normal(size=(m, d)) @ mix * 1.2 + 3.3).astype(np.float32)
        x, y = a.astype(np.float64), b.astype(np.float64)
        s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        if min(n, m) > d:
            root = np.trace(scipy.linalg.sqrtm(s @ t)).real
        else:
            # trace sqrt(S T) is the nuclear norm of A B^T for S = A^T A and T = B^T B; SciPy's square root of a
            # singular matrix has too few digits.
            f = lambda v: (v - v.mean(0)) / np.sqrt(len(v) - 1)
            root = scipy.linalg.svdvals(f(x) @ f(y).T).sum()
        fid = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * root
        kernel = lambda u, v: (u @ v.T / d + 1) ** 3
        off = lambda k: (k.sum() - np.trace(k)) / (len(k) * (len(k) - 1))
        kid = off(kernel(x, x)) + off(kernel(y, y)) - 2 * kernel(x, y).mean()
        radius = lambda v: np.sort(cdist(v, v), 1)[:, 3]
        cross = cdist(x, y)
        cases.append(
            dict(
                dims=d, real=a.astype(float).reshape(-1).tolist(), generated=b.astype(float).reshape(-1).tolist(), fid=float(fid), kid=float(kid),
                precision=float((cross <= radius(x)[:, None]).any(0).mean()),
                recall=float((cross <= radius(y)[None, :]).any(1).mean()),
            )
        )
    write("generation", dict(cases=cases))


GROUPS = {"classification": classification, "detection": detection, "generation": generation}

if __name__ == "__main__":
    for name in sys.argv[1:] or GROUPS:
        GROUPS[name]()
