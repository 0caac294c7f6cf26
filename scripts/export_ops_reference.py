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
    return float(f"{v:.12g}")


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
                        ignore=ignore, logits=tensor(logits), target=tensor(target), value=float(y),
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
                    logits=tensor(logits), target=tensor(soft), value=float(y), grad=tensor(grad),
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
                    ignore=255, logits=tensor(logits4), target=tensor(target4), value=float(y), grad=tensor(grad),
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
                dict(kind="dice", smooth=smooth, present=present, ignore=255, logits=tensor(logits5), target=tensor(target5), value=float(y), grad=tensor(grad))
            )
        y, grad = with_gradient(lambda x: lovasz(x, target5, 255, present), logits5)
        cases.append(
            dict(kind="lovasz", present=present, ignore=255, logits=tensor(logits5), target=tensor(target5), value=float(y), grad=tensor(grad))
        )
    write("losses", cases)


GROUPS = {"losses": losses}

if __name__ == "__main__":
    for name in sys.argv[1:] or GROUPS:
        GROUPS[name]()
