#!/usr/bin/env python3
"""Writes the reference values that the tests of `crates/ops` compare with.

    python scripts/export_ops_reference.py [losses boxes ...]

Values and gradients come from PyTorch 2.15.0 and torchvision 0.29.2 (CPU), computed in float64 from inputs
that are exact in float32, so that the stored numbers are the true ones to the precision of the tests. Where
PyTorch has no such function (dice, Lovasz, distance IoU of ties and the like) the formula of the cited paper
stands here in plain PyTorch, written apart from the Rust. Every random draw comes from a
`torch.Generator` with the seed stated in the function. The files land in `crates/ops/fixtures/`.
"""

import json
import math
import pathlib
import sys

import torch
import torch.nn.functional as F
import torchvision

OUT = pathlib.Path(__file__).resolve().parent.parent / "crates" / "ops" / "fixtures"


def tensor(t):
    """A tensor as `{"shape", "data"}`; non-finite values as strings, since JSON has none."""
    t = t.detach()
    data = t.reshape(-1).tolist()
    if t.is_floating_point():
        data = [number(v) for v in data]
    else:
        data = [int(v) for v in data]
    return {"shape": list(t.shape), "data": data}


def number(v):
    if math.isnan(v):
        return "nan"
    if math.isinf(v):
        return "inf" if v > 0 else "-inf"
    return float(f"{v:.9g}")


def draw(generator, *shape, scale=1.0):
    """Normal draws rounded to float32, held as float64."""
    return (torch.randn(*shape, generator=generator) * scale).double()


def write(name, cases):
    OUT.mkdir(parents=True, exist_ok=True)
    made = f"scripts/export_ops_reference.py, torch {torch.__version__}, torchvision {torchvision.__version__}"
    path = OUT / f"{name}.json"
    lines = ",\n".join(json.dumps(c) for c in cases)
    path.write_text('{"made_by": ' + json.dumps(made) + ', "cases": [\n' + lines + "\n]}\n")
    print(f"{path.name}: {len(cases)} cases, {path.stat().st_size} bytes")


def with_gradient(function, x, upstream=None):
    x = x.clone().requires_grad_(True)
    y = function(x)
    scalar = y if upstream is None else (y * upstream).sum()
    (g,) = torch.autograd.grad(scalar, x)
    return y, g


# --- losses -----------------------------------------------------------------------------------------


def losses():
    g = torch.Generator().manual_seed(20)
    cases = []

    # Hard targets: class indices, with every option alone and together.
    logits = draw(g, 6, 5, scale=3.0)
    logits[0, 0], logits[0, 1] = 90.0, -90.0
    target = torch.tensor([1, 0, 4, 2, 2, 3])
    weight = torch.tensor([0.5, 2.0, 1.0, 0.25, 3.0]).double()
    for smoothing in (0.0, 0.1):
        for w in (None, weight):
            for ignore in (None, 2):
                kw = dict(label_smoothing=smoothing, weight=w)
                if ignore is not None:
                    kw["ignore_index"] = ignore
                y, grad = with_gradient(lambda x: F.cross_entropy(x, target, **kw), logits)
                each = F.cross_entropy(logits, target, reduction="none", **kw)
                cases.append(
                    dict(
                        kind="cross_entropy", smoothing=smoothing, weight=None if w is None else w.tolist(),
                        ignore=ignore, logits=tensor(logits), target=tensor(target), value=y.item(),
                        grad=tensor(grad), per_sample=tensor(each),
                    )
                )
    # Soft targets, as mixup and cutmix give them.
    soft = torch.softmax(draw(g, 6, 5, scale=2.0), 1).float().double()
    for smoothing in (0.0, 0.1):
        for w in (None, weight):
            kw = dict(label_smoothing=smoothing, weight=w)
            y, grad = with_gradient(lambda x: F.cross_entropy(x, soft, **kw), logits)
            each = F.cross_entropy(logits, soft, reduction="none", **kw)
            cases.append(
                dict(
                    kind="cross_entropy_soft", smoothing=smoothing, weight=None if w is None else w.tolist(),
                    logits=tensor(logits), target=tensor(soft), value=y.item(), grad=tensor(grad),
                    per_sample=tensor(each),
                )
            )
    # Per pixel, ignore index 255.
    logits4 = draw(g, 2, 3, 4, 5, scale=2.0)
    target4 = torch.randint(0, 3, (2, 4, 5), generator=g)
    target4[torch.rand(2, 4, 5, generator=g) < 0.3] = 255
    weight3 = torch.tensor([0.5, 2.0, 1.25]).double()
    for smoothing in (0.0, 0.1):
        for w in (None, weight3):
            kw = dict(label_smoothing=smoothing, weight=w, ignore_index=255)
            y, grad = with_gradient(lambda x: F.cross_entropy(x, target4, **kw), logits4)
            cases.append(
                dict(
                    kind="cross_entropy_pixels", smoothing=smoothing, weight=None if w is None else w.tolist(),
                    ignore=255, logits=tensor(logits4), target=tensor(target4), value=y.item(), grad=tensor(grad),
                )
            )

    # Binary losses on logits, with the extremes and exactly zero.
    x = draw(g, 4, 6, scale=3.0)
    x[0] = torch.tensor([0.0, 0.0, 60.0, -60.0, 100.0, -100.0])
    t = torch.rand(4, 6, generator=g).double()
    t[0] = torch.tensor([0.0, 1.0, 1.0, 1.0, 0.0, 0.0])
    hard = (t > 0.5).double()
    up = draw(g, 4, 6)
    pos = torch.tensor([0.5, 1.0, 2.0, 3.0, 1.0, 0.25]).double()
    y, grad = with_gradient(lambda x: F.binary_cross_entropy_with_logits(x, t, reduction="none"), x, up)
    cases.append(dict(kind="bce", logits=tensor(x), target=tensor(t), upstream=tensor(up), value=tensor(y), grad=tensor(grad)))
    y, grad = with_gradient(lambda x: F.binary_cross_entropy_with_logits(x, t, reduction="none", pos_weight=pos), x, up)
    cases.append(
        dict(kind="bce", pos_weight=pos.tolist(), logits=tensor(x), target=tensor(t), upstream=tensor(up), value=tensor(y), grad=tensor(grad))
    )
    for alpha, gamma in ((0.25, 2.0), (-1.0, 2.0), (0.75, 1.5), (0.25, 0.0)):
        for target in (hard, t):
            y, grad = with_gradient(
                lambda x: torchvision.ops.sigmoid_focal_loss(x, target, alpha=alpha, gamma=gamma), x, up
            )
            cases.append(
                dict(
                    kind="sigmoid_focal", alpha=alpha, gamma=gamma, logits=tensor(x), target=tensor(target),
                    upstream=tensor(up), value=tensor(y), grad=tensor(grad),
                )
            )
    target = torch.tensor([1, 0, 4, 2, 2, 3])

    def softmax_focal(x, gamma):
        log_p = F.log_softmax(x, 1).gather(1, target[:, None])[:, 0]
        return -((1 - log_p.exp()) ** gamma) * log_p

    up6 = draw(g, 6)
    for gamma in (0.0, 1.0, 2.0):
        y, grad = with_gradient(lambda x: softmax_focal(x, gamma), logits, up6)
        cases.append(
            dict(
                kind="softmax_focal", gamma=gamma, logits=tensor(logits), target=tensor(target), upstream=tensor(up6),
                value=tensor(y), grad=tensor(grad),
            )
        )
    # Smooth L1 on differences of zero, beta and beyond.
    a = draw(g, 3, 4)
    b = a + torch.tensor([0.0, 1.0, -1.0, 0.5]).double() * torch.tensor([1.0, 0.11111, 3.0])[:, None].double()
    a, b = a.float().double(), b.float().double()
    up12 = draw(g, 3, 4)
    for beta in (1.0, 1.0 / 9.0, 0.0):
        y, grad = with_gradient(lambda x: F.smooth_l1_loss(x, b, reduction="none", beta=beta), a, up12)
        cases.append(
            dict(kind="smooth_l1", beta=beta, input=tensor(a), target=tensor(b), upstream=tensor(up12), value=tensor(y), grad=tensor(grad))
        )

    # Dice (Milletari et al. 2016, on softmax probabilities, sums over the batch) and Lovasz-softmax (Berman
    # et al. 2018), classes averaged over all or over those present in the targets.
    def dice(x, t, ignore, smooth, present):
        keep = t != ignore
        p = torch.softmax(x, 1)
        parts = []
        for c in range(x.shape[1]):
            g = ((t == c) & keep).double()
            pc = p[:, c] * keep
            if present and g.sum() == 0:
                continue
            parts.append(1 - (2 * (pc * g).sum() + smooth) / (pc.sum() + g.sum() + smooth))
        return torch.stack(parts).mean()

    def lovasz(x, t, ignore, present):
        p = torch.softmax(x, 1).movedim(1, -1).reshape(-1, x.shape[1])
        t = t.reshape(-1)
        p, t = p[t != ignore], t[t != ignore]
        parts = []
        for c in range(p.shape[1]):
            fg = (t == c).double()
            if present and fg.sum() == 0:
                continue
            order = torch.sort((fg - p[:, c]).abs().detach(), descending=True, stable=True)[1]
            s = fg[order]
            inter = fg.sum() - s.cumsum(0)
            union = fg.sum() + (1 - s).cumsum(0)
            jac = 1 - inter / union
            step = torch.cat([jac[:1], jac[1:] - jac[:-1]])
            parts.append(((fg - p[:, c]).abs()[order] * step).sum())
        return torch.stack(parts).mean()

    logits5 = draw(g, 2, 4, 3, 5, scale=2.0)
    target5 = torch.randint(0, 3, (2, 3, 5), generator=g)  # class 3 is absent
    target5[torch.rand(2, 3, 5, generator=g) < 0.25] = 255
    for present in (True, False):
        for smooth in (0.0, 1.0):
            y, grad = with_gradient(lambda x: dice(x, target5, 255, smooth, present), logits5)
            cases.append(
                dict(kind="dice", smooth=smooth, present=present, ignore=255, logits=tensor(logits5), target=tensor(target5), value=y.item(), grad=tensor(grad))
            )
        y, grad = with_gradient(lambda x: lovasz(x, target5, 255, present), logits5)
        cases.append(
            dict(kind="lovasz", present=present, ignore=255, logits=tensor(logits5), target=tensor(target5), value=y.item(), grad=tensor(grad))
        )
    write("losses", cases)


# --- boxes ------------------------------------------------------------------------------------------


def adversarial():
    """Losses of a GAN on scores, with the extremes; targets of ones and zeros, smoothed for real images."""
    g = torch.Generator().manual_seed(24)
    real, generated = draw(g, 7, scale=3.0), draw(g, 5, scale=3.0)
    real[:3] = torch.tensor([60.0, -60.0, 0.25])
    generated[:3] = torch.tensor([-60.0, 60.0, -0.5])
    bce = F.binary_cross_entropy_with_logits

    def pair(loss, x, y, smoothing):
        target = torch.full_like(x, 1 - smoothing)
        if loss == "non_saturating":
            return bce(x, target), bce(y, torch.zeros_like(y))
        if loss == "hinge":
            return (1 - x).clamp(min=0).mean(), (1 + y).clamp(min=0).mean()
        return 0.5 * F.mse_loss(x, target), 0.5 * F.mse_loss(y, torch.zeros_like(y))

    def own(loss, y):
        if loss == "non_saturating":
            return bce(y, torch.ones_like(y))
        return -y.mean() if loss == "hinge" else 0.5 * F.mse_loss(y, torch.ones_like(y))

    cases = []
    for loss in ("non_saturating", "hinge", "least_squares"):
        for smoothing in (0.0, 0.1):
            x, y = real.clone().requires_grad_(True), generated.clone().requires_grad_(True)
            parts = pair(loss, x, y, smoothing)
            grad_real, grad_generated = torch.autograd.grad(sum(parts), [x, y])
            value, grad = with_gradient(lambda y: own(loss, y), generated)
            cases.append(
                dict(
                    kind="adversarial", loss=loss, smoothing=smoothing, real=tensor(real), generated=tensor(generated),
                    discriminator=[number(p.item()) for p in parts], grad_real=tensor(grad_real),
                    grad_generated=tensor(grad_generated), generator=[number(value.item())], grad_generator=tensor(grad),
                )
            )
    write("adversarial", cases)


def random_boxes(generator, n, size=100.0, scale=30.0):
    """Boxes with corners that are exact in float32."""
    xy = torch.rand(n, 2, generator=generator) * size
    wh = torch.rand(n, 2, generator=generator) * scale + 0.5
    return torch.cat([xy, xy + wh], 1)


def boxes():
    from torchvision import ops
    from torchvision.models.detection import _utils as det
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.image_list import ImageList

    g = torch.Generator().manual_seed(21)
    cases = []

    # Conversions, area, clip and small boxes; the last boxes are degenerate.
    b = random_boxes(g, 8)
    b = torch.cat([b, torch.tensor([[5.0, 5, 5, 5], [7, 8, 7, 20], [9, 3, 4, 1], [-20, -30, 150, 170], [120, 5, 130, 9], [0, 0, 1, 1]])])
    case = dict(kind="convert", boxes=tensor(b), area=tensor(ops.box_area(b)))
    for fmt in ("xywh", "cxcywh"):
        case[fmt] = tensor(ops.box_convert(b, "xyxy", fmt))
        case["from_" + fmt] = tensor(ops.box_convert(b, fmt, "xyxy"))
    case["clipped"] = tensor(ops.clip_boxes_to_image(b, (60, 90)))
    case["large"] = tensor(ops.remove_small_boxes(b, 5.0))
    case["large_at_edge"] = tensor(ops.remove_small_boxes(b, 1.0))
    cases.append(case)

    # Pairwise overlaps: random, equal, nested, touching, disjoint, without area.
    a = torch.cat([random_boxes(g, 5, 40), torch.tensor([[10.0, 10, 20, 20], [5, 5, 5, 5], [0, 0, 0, 10]])])
    c = torch.cat([random_boxes(g, 4, 40), torch.tensor([[10.0, 10, 20, 20], [12, 12, 14, 18], [20, 10, 30, 20], [90, 90, 95, 99], [5, 5, 5, 5], [0, 0, 0, 10]])])
    cases.append(
        dict(
            kind="iou", a=tensor(a), b=tensor(c), iou=tensor(ops.box_iou(a.double(), c.double())),
            giou=tensor(ops.generalized_box_iou(a.double(), c.double())),
            diou=tensor(ops.distance_box_iou(a.double(), c.double())),
            ciou=tensor(ops.complete_box_iou(a.double(), c.double())),
        )
    )
    # The losses, value and gradient: overlapping and disjoint pairs without equal coordinates (the gradient of
    # a minimum of equals is a choice), then pairs that are equal, nested or degenerate, of which the values count.
    p = random_boxes(g, 10, 30).double()
    t = torch.cat([random_boxes(g, 6, 30), random_boxes(g, 4, 30) + 200]).double()
    up = draw(g, 10)
    special_p = torch.tensor([[1.0, 2, 30, 40], [5, 5, 10, 10], [0, 0, 10, 10], [5, 5, 5, 15]]).double()
    special_t = torch.tensor([[1.0, 2, 30, 40], [0, 0, 20, 30], [10, 0, 20, 10], [0, 0, 10, 10]]).double()
    for name, f in (
        ("giou", ops.generalized_box_iou_loss), ("diou", ops.distance_box_iou_loss), ("ciou", ops.complete_box_iou_loss),
    ):
        y, grad = with_gradient(lambda x: f(x, t), p, up)
        cases.append(
            dict(
                kind="iou_loss", name=name, input=tensor(p), target=tensor(t), upstream=tensor(up), value=tensor(y), grad=tensor(grad),
                special_input=tensor(special_p), special_target=tensor(special_t), special=tensor(f(special_p, special_t)),
            )
        )
    y, grad = with_gradient(lambda x: 1 - torch.diagonal(ops.box_iou(x, t)), p, up)
    cases.append(
        dict(
            kind="iou_loss", name="iou", input=tensor(p), target=tensor(t), upstream=tensor(up), value=tensor(y), grad=tensor(grad),
            special_input=tensor(special_p), special_target=tensor(special_t),
            special=tensor(1 - torch.diagonal(ops.box_iou(special_p, special_t))),
        )
    )

    # Anchors by level.
    for sizes, ratios, image, features in (
        (((32,), (64,)), ((0.5, 1.0, 2.0),) * 2, (64, 96), ((8, 12), (4, 6))),
        (((32, 40, 50), (64, 80, 101)), ((0.5, 1.0, 2.0), (1.0,)), (65, 97), ((3, 4), (1, 2))),
        (((8,),), ((1.0,),), (33, 20), ((5, 3),)),
    ):
        generator = AnchorGenerator(sizes, ratios)
        images = ImageList(torch.zeros(1, 3, *image), [image])
        maps = [torch.zeros(1, 1, *f) for f in features]
        cases.append(
            dict(kind="anchors", sizes=sizes, ratios=ratios, image=image, features=features, anchors=tensor(generator(images, maps)[0]))
        )

    # The matcher, on qualities with ties and with a truth whose best is below the lower threshold.
    for low_quality in (False, True):
        for high, low in ((0.5, 0.4), (0.7, 0.3), (0.5, 0.5)):
            q = (torch.rand(4, 12, generator=g) * 20).round() / 20
            q[1] = q[1] * 0.3
            q[1, 3] = q[1].max()
            q[2, 5] = q[2, 6] = 0.5
            cases.append(
                dict(
                    kind="matcher", high=high, low=low, low_quality=low_quality, quality=tensor(q),
                    matches=tensor(det.Matcher(high, low, low_quality)(q.clone())),
                )
            )

    # Box coders, with deltas beyond the clamp.
    props, truth = random_boxes(g, 6).double(), random_boxes(g, 6).double()
    deltas = draw(g, 6, 4)
    deltas[0] = torch.tensor([0.0, 0.0, 50.0, -50.0])
    deltas[1] = torch.tensor([3.0, -3.0, 4.2, 4.1])
    for weights in ((1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)):
        coder = det.BoxCoder(weights)
        decoded, grad = with_gradient(lambda x: coder.decode(x, [props]).squeeze(1), deltas, torch.ones(6, 4).double())
        cases.append(
            dict(
                kind="coder", weights=weights, boxes=tensor(props), truth=tensor(truth), deltas=tensor(deltas),
                encoded=tensor(coder.encode([truth], [props])[0]), decoded=tensor(decoded), grad=tensor(grad),
            )
        )
    for normalise in (True, False):
        coder = det.BoxLinearCoder(normalise)
        rel = deltas.abs()
        cases.append(
            dict(
                kind="linear_coder", normalise=normalise, boxes=tensor(props), truth=tensor(truth), deltas=tensor(rel),
                encoded=tensor(coder.encode(props, truth)), decoded=tensor(coder.decode(rel, props)),
            )
        )
    write("boxes", cases)


# --- non-maximum suppression ------------------------------------------------------------------------


def suppression():
    from torchvision import ops

    g = torch.Generator().manual_seed(22)
    cases = []

    def add(boxes, scores, threshold, classes=None):
        classes = torch.zeros(len(boxes), dtype=torch.long) if classes is None else classes
        # The form of torchvision that treats each class apart without moving boxes, so that nothing is rounded. Its
        # last sort is not stable; equal scores stand in their order here, as in its other form.
        batched = ops.boxes._batched_nms_vanilla(boxes, scores, classes, threshold).sort()[0]
        batched = batched[scores[batched].sort(descending=True, stable=True)[1]]
        cases.append(
            dict(
                kind="nms", boxes=tensor(boxes), scores=tensor(scores), classes=tensor(classes), threshold=threshold,
                keep=tensor(ops.nms(boxes, scores, threshold)),
                batched=tensor(batched),
            )
        )

    for threshold in (0.0, 0.05, 0.3, 0.5, 0.75, 1.0):
        n = 60
        add(random_boxes(g, n, 60.0, 40.0), torch.rand(n, generator=g), threshold, torch.randint(0, 3, (n,), generator=g))
        # Boxes on a coarse grid and few different scores: overlaps and scores tie.
        xy = torch.randint(0, 6, (n, 2), generator=g).float() * 4
        wh = torch.randint(1, 4, (n, 2), generator=g).float() * 4
        scores = torch.randint(0, 4, (n,), generator=g).float() / 4
        add(torch.cat([xy, xy + wh], 1), scores, threshold, torch.randint(0, 3, (n,), generator=g))
        # Sizes from a thousandth to a thousand, thin and square, negative coordinates.
        wh = 10 ** (torch.rand(n, 2, generator=g) * 6 - 3)
        xy = torch.randn(n, 2, generator=g) * 100
        add(torch.cat([xy, xy + wh], 1), torch.rand(n, generator=g), threshold)
    # One box; equal boxes; IoU exactly at the threshold; without area; inverted; far away; infinite score.
    one = torch.tensor([[0.0, 0, 10, 10]])
    add(one, torch.tensor([0.5]), 0.5)
    add(one.repeat(4, 1), torch.tensor([0.5, 0.9, 0.9, 0.1]), 0.5)
    add(torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 5, 10, 10]]), torch.tensor([0.9, 0.8, 0.7]), 0.5)
    odd = torch.tensor(
        [[5.0, 5, 5, 5], [5, 5, 5, 5], [0, 0, 0, 10], [0, 0, 10, 10], [10, 10, 0, 0], [10, 0, 0, 10], [1e7, 1e7, 1e7 + 8, 1e7 + 8], [-1e7, 0, -1e7 + 8, 8], [0, 0, 10, 10]]
    )
    add(odd, torch.tensor([0.9, 0.8, 0.7, 0.6, 0.95, 0.94, 0.5, 0.4, float("inf")]), 0.5)
    add(odd, torch.tensor([0.9, 0.8, 0.7, 0.6, 0.95, 0.94, 0.5, 0.4, 0.3]), 0.0)

    # Soft suppression (Bodla et al. 2017), the loop of the paper in plain Python.
    def soft(boxes, scores, classes, method, sigma, threshold, least):
        iou = ops.box_iou(boxes, boxes)
        s, left, keep, out = scores.clone(), list(range(len(boxes))), [], []
        while left:
            best = max(left, key=lambda i: (float(s[i]), -i))
            if s[best] < least:
                break
            left.remove(best)
            keep.append(best)
            out.append(float(s[best]))
            for i in left:
                if classes[i] != classes[best]:
                    continue
                o = iou[best, i]
                if method == "gaussian":
                    s[i] *= torch.exp(-(o * o) / sigma)
                elif o > threshold:
                    s[i] *= 1 - o
        return keep, out

    b, s = random_boxes(g, 40, 50.0, 40.0).double(), torch.rand(40, generator=g).double()
    classes = torch.randint(0, 2, (40,), generator=g)
    for method in ("linear", "gaussian"):
        keep, out = soft(b, s, classes, method, 0.5, 0.3, 0.05)
        cases.append(
            dict(
                kind="soft_nms", method=method, sigma=0.5, threshold=0.3, least=0.05, boxes=tensor(b), scores=tensor(s),
                classes=tensor(classes), keep=keep, kept_scores=out,
            )
        )
    write("nms", cases)


# --- RoIAlign and resizing --------------------------------------------------------------------------


def sampling():
    from torchvision import ops

    g = torch.Generator().manual_seed(23)
    cases = []
    x = draw(g, 2, 3, 7, 9)
    rois = torch.tensor(
        [
            [0, 1.0, 2.0, 12.0, 10.0], [1, 0.0, 0.0, 17.9, 13.9], [0, 3.3, 4.4, 3.3, 4.4], [1, 16.0, 12.0, 30.0, 40.0],
            [0, -9.0, -9.0, 5.0, 4.0], [1, 100.0, 100.0, 120.0, 110.0], [1, 8.0, 8.0, 4.0, 4.0], [0, 5.25, 1.5, 6.0, 13.0],
        ]
    ).double()
    for size in ((2, 3),):
        for ratio in (-1, 1, 2, 3):
            for aligned in (False, True):
                up = draw(g, len(rois), 3, *size)
                y, grad = with_gradient(lambda x: ops.roi_align(x, rois, size, 0.5, ratio, aligned), x, up)
                cases.append(
                    dict(
                        kind="roi_align", size=size, ratio=ratio, aligned=aligned, scale=0.5, input=tensor(x), boxes=tensor(rois[:, 1:]),
                        images=rois[:, 0].long().tolist(), upstream=tensor(up), value=tensor(y), grad=tensor(grad),
                    )
                )
    x = draw(g, 1, 2, 4, 5)
    for size in ((8, 10), (7, 3), (1, 1), (4, 5), (2, 13), (11, 2)):
        for mode, align in (("bilinear", False), ("bilinear", True), ("nearest", None)):
            up = draw(g, 1, 2, *size)
            y, grad = with_gradient(lambda x: F.interpolate(x, size=size, mode=mode, align_corners=align), x, up)
            cases.append(
                dict(kind="resize", mode=mode, align=bool(align), size=size, input=tensor(x), upstream=tensor(up), value=tensor(y), grad=tensor(grad))
            )
    write("sampling", cases)


GROUPS = {"losses": losses, "boxes": boxes, "suppression": suppression, "sampling": sampling, "adversarial": adversarial}

if __name__ == "__main__":
    for name in sys.argv[1:] or GROUPS:
        GROUPS[name]()
