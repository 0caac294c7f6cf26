"""Writes the expected outputs that crates/models is tested against, one small file per classifier:
crates/models/tests/fixtures/zoo/<name>.safetensors

    python scripts/export_reference.py [NAME ...]

Needs torch, torchvision, numpy, safetensors; made with torch 2.15.0 and torchvision 0.29.2 on the CPU.
Nothing is random: weights and images come from scripts/reference_formula.py. Each file holds
  output              [2, CLASSES]  evaluation mode
and, for the smallest variant of each family (dropout and stochastic depth off),
  train.output        [4, CLASSES]  training mode, that is batch statistics
  train.grad.first    gradient of the first weight of (outputs * formula "loss").sum() * loss_scale
  train.grad.last     the same of the classification head's last weight
Auxiliary heads enter that sum with the weight of their papers' losses.

The gain of the formula is the first of GAINS that gives a reference which is not degenerate:
standard deviation of the outputs within 0.1 to 10, outputs of the two images at least 100 tolerances
apart, no score above 0.999, and outputs that move by more than the tolerance when any tensor changes by
10 % (checked for the smallest variant of each family). When none does, the script fails.
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

import reference_formula as formula
from own_models import OWN

CLASSES = 8
RTOL, ATOL = 1e-3, 1e-4
GAINS = [1.414, 1.2, 1.0, 1.7, 0.85, 2.0, 0.7, 2.4, 0.5, 2.8, 3.3, 4.0]
OUT = Path(__file__).parent.parent / "crates/models/tests/fixtures/zoo"
# torchvision's modules that hold the classifiers of the zoo; its transformers are not part of it.
FAMILIES = "alexnet convnext densenet efficientnet googlenet inception mnasnet mobilenetv2 mobilenetv3 regnet resnet shufflenetv2 squeezenet vgg".split()
AUX = {"googlenet": 0.3, "inception_v3": 0.4}


def catalogue():
    """name: (builder, channels, side, family)"""
    models = dict(OWN)
    for name in torchvision.models.list_models(module=torchvision.models):
        builder = torchvision.models.get_model_builder(name)
        family = builder.__module__.rsplit(".", 1)[-1]
        if family not in FAMILIES:
            continue
        if family == "efficientnet" and "_v2_" in name:
            family = "efficientnet_v2"
        weights = list(torchvision.models.get_model_weights(name))
        side = max(64, *(w.meta["min_size"][0] for w in weights)) if weights else 64
        options = {"init_weights": False} if name in ("googlenet", "inception_v3") or family in ("vgg", "densenet") else {}
        if family == "densenet":
            options = {}
        if name in AUX:
            options["aux_logits"] = True
        models[name] = (lambda classes, b=builder, o=options: b(weights=None, num_classes=classes, **o), 3, side, family)
    return models


def weights_of(model):
    return [p for n, p in model.named_parameters() if p.dim() >= 2]


def tolerance(reference):
    return ATOL + RTOL * np.abs(reference)


def run(model, x):
    with torch.no_grad():
        return model(x).numpy()


def faults(output):
    """Why outputs would make a poor reference."""
    found = []
    if not np.isfinite(output).all():
        return ["not finite"]
    if not 0.1 <= output.std() <= 10:
        found.append(f"standard deviation {output.std():.3g}")
    apart = np.abs(output[0] - output[1]) / tolerance(output[0])
    if apart.max() < 100 or np.median(apart) < 30:
        found.append(f"images only {apart.max():.0f} tolerances apart")
    scores = torch.softmax(torch.from_numpy(output), 1)
    if scores.max() > 0.999:
        found.append("saturated scores")
    return found


def unseen_tensor(model, x, output):
    """The first tensor whose change by 10 % no comparison would see."""
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked") or name.startswith(("aux", "AuxLogits")):
            continue
        before = tensor.clone()
        tensor.mul_(1.1)
        unseen = (np.abs(run(model, x) - output) <= tolerance(output)).all()
        tensor.copy_(before)
        if unseen:
            return name
    return None


def without_dropout(model):
    for module in model.modules():
        if isinstance(module, nn.Dropout) or type(module).__name__ == "StochasticDepth":
            module.p = 0.0
        if hasattr(module, "drop_rate"):
            module.drop_rate = 0.0
    return model.train()


def training(name, build, shape, gain):
    """Outputs and gradients in training mode."""
    model = without_dropout(build(CLASSES))
    formula.fill(model, gain)
    x = torch.from_numpy(formula.images((4, *shape[1:])))
    result = model(x)
    main, aux = (result, []) if isinstance(result, torch.Tensor) else (result[0], [r for r in result[1:] if r is not None])
    pull = torch.from_numpy(formula.values("loss.weight", tuple(main.shape), 1.0))
    loss = (main * pull).sum() + sum(AUX[name] * (a * pull).sum() for a in aux)
    head = [p for n, p in model.named_parameters() if p.dim() >= 2 and not n.startswith(("aux", "AuxLogits"))]
    first, last = torch.autograd.grad(loss, [head[0], head[-1]])
    scale = float(np.float32(1.0 / max(first.abs().max(), last.abs().max())))
    first, last = first * scale, last * scale
    for what, grad in (("first", first), ("last", last)):
        if not grad.isfinite().all() or grad.abs().max() < 100 * ATOL:
            raise SystemExit(f"{name}: gradient of the {what} layer is degenerate: {grad.abs().max():.3g}")
    if not 0.1 <= main.std() <= 10:
        raise SystemExit(f"{name}: training outputs have standard deviation {main.std():.3g}")
    tensors = {"train.output": main.detach(), "train.grad.first": first, "train.grad.last": last}
    return {k: v.contiguous().clone() for k, v in tensors.items()}, scale


def export(name, build, channels, side, smallest):
    model = build(CLASSES).eval()
    shape = (2, channels, side, side)
    x = torch.from_numpy(formula.images(shape))
    tried = []
    for gain in GAINS:
        formula.fill(model, gain)
        output = run(model, x)
        wrong = faults(output)
        if not wrong and smallest:
            unseen = unseen_tensor(model, x, output)
            wrong = [f"a change of {unseen} is not seen"] if unseen else []
        if not wrong:
            break
        tried.append(f"  gain {gain}: {'; '.join(wrong)}")
    else:
        raise SystemExit("\n".join([f"{name}: every gain is degenerate", *tried]))
    tensors = {"output": torch.from_numpy(output)}
    about = {"gain": str(gain), "side": str(side), "classes": str(CLASSES), "torch": torch.__version__, "torchvision": torchvision.__version__}
    if smallest:
        trained, scale = training(name, build, shape, gain)
        tensors |= trained
        about["loss_scale"] = repr(scale)
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT / f"{name}.safetensors", metadata=about)
    print(f"{name:24} side {side:3} gain {gain:5} std {output.std():.3f}{'  with training' if smallest else ''}", flush=True)


def main():
    torch.set_num_threads(2)
    models = catalogue()
    sizes = {}
    for name, (build, _, _, family) in models.items():
        if name in OWN:
            sizes[name] = sum(p.numel() for p in build(CLASSES).parameters())
        else:
            sizes[name] = min(w.meta["num_params"] for w in torchvision.models.get_model_weights(name))
    smallest = {min((n for n in models if models[n][3] == f), key=sizes.get) for f in {m[3] for m in models.values()}}
    chosen = sys.argv[1:] or sorted(models, key=sizes.get)
    failed = []
    for name in chosen:
        build, channels, side, _ = models[name]
        try:
            export(name, build, channels, side, name in smallest)
        except SystemExit as error:
            print(error, flush=True)
            failed.append(name)
    if failed:
        raise SystemExit(f"no reference for {' '.join(failed)}")


if __name__ == "__main__":
    main()
