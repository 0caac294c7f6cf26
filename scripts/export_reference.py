"""Writes the expected outputs that crates/models is tested against, one small file per classifier:
crates/models/tests/fixtures/zoo/<name>.safetensors

    python scripts/export_reference.py [NAME ...]

Needs torch, torchvision, numpy, safetensors; made with torch 2.15.0 and torchvision 0.29.2 on the CPU, those of
DenseNet-121 and Inception v3 with torch 2.9.0 and torchvision 0.24.0.
Nothing is random: weights and images come from scripts/reference_formula.py. Each file holds
  output              [2, CLASSES]  evaluation mode
and, for the smallest variant of each family (dropout and stochastic depth off),
  train.output        [TRAIN_IMAGES, CLASSES]  training mode, that is batch statistics, in double precision
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
BISECTIONS = 10
OUT = Path(__file__).parent.parent / "crates/models/tests/fixtures/zoo"
# torchvision's modules that hold the classifiers of the zoo; its transformers are not part of it.
FAMILIES = "alexnet convnext densenet efficientnet googlenet inception mnasnet mobilenetv2 mobilenetv3 regnet resnet shufflenetv2 squeezenet vgg".split()
TRAIN_IMAGES = 4
# Trained instead of its family's smallest: that one has biases so far inside that no output shows 10 % of them.
INSTEAD = {"regnet_y_400mf": "regnet_x_400mf"}
AUX = {"googlenet": 0.3, "inception_v3": 0.4}
# Larger images in training mode: at its smallest side the last blocks of Inception v3 are one pixel large, and
# normalising four values over the batch makes rounding in single precision larger than the tolerance.
TRAIN_SIDE = {"inception_v3": 139}
# Larger biases and running means than the formula's: a tenth of those shows in no output of these.
BIAS = {"densenet121": 0.3, "inception_v3": 0.5}


def catalogue():
    """name: (builder, channels, side, family)"""
    models = dict(OWN)
    for name in torchvision.models.list_models(module=torchvision.models):
        builder = torchvision.models.get_model_builder(name)
        family = builder.__module__.rsplit(".", 1)[-1]
        if family not in FAMILIES or name == "regnet_y_128gf":
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
    alive = apart[(output[0] != 0) | (output[1] != 0)]  # SqueezeNet ends in a rectifier.
    if apart.max() < 100 or np.median(alive) < 30:
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


def gradients(name, model, x):
    """Outputs and the gradients of the first and the last weight."""
    result = model(x)
    main, aux = (result, []) if isinstance(result, torch.Tensor) else (result[0], [r for r in result[1:] if r is not None])
    pull = torch.from_numpy(formula.values("loss.weight", tuple(main.shape), 1.0)).to(main.dtype)
    loss = (main * pull).sum() + sum(AUX[name] * (a * pull).sum() for a in aux)
    head = [p for n, p in model.named_parameters() if p.dim() >= 2 and not n.startswith(("aux", "AuxLogits"))]
    return main.detach(), *torch.autograd.grad(loss, [head[0], head[-1]])


def training(name, build, shape, gain, bias):
    """Outputs and gradients in training mode, in double precision: in single precision rounding decides on
    which side of their kink some rectifiers are, and one of them moves the gradient of the first layer by far
    more than the tolerance, in PyTorch as well."""
    model = without_dropout(build(CLASSES))
    formula.fill(model, gain, bias)
    if name == "inception_v3":  # Its auxiliary head sees nothing below 299 pixels.
        model.AuxLogits = None
    side = TRAIN_SIDE.get(name, shape[-1])
    images = torch.from_numpy(formula.images((TRAIN_IMAGES, shape[1], side, side)))
    main, first, last = gradients(name, model.double(), images.double())
    scale = float(np.float32(1.0 / min(first.abs().max(), last.abs().max())))
    first, last = first * scale, last * scale
    for what, grad in (("first", first), ("last", last)):
        if not grad.isfinite().all() or grad.abs().max() < 100 * ATOL:
            raise SystemExit(f"{name}: gradient of the {what} layer is degenerate: {grad.abs().max():.3g}")
    if not 0.1 <= main.std() <= 10:
        raise SystemExit(f"{name}: training outputs have standard deviation {main.std():.3g}")
    tensors = {"train.output": main, "train.grad.first": first, "train.grad.last": last}
    return {k: v.float().contiguous().clone() for k, v in tensors.items()}, scale


def gains(deviations):
    """GAINS, then the gains between the last whose outputs deviate by less than 1 and the first above it: in
    deep networks the outputs rise from nothing to far too much between two of them. `deviations` holds those
    of the gains so far."""
    yield from GAINS
    for _ in range(BISECTIONS):
        high = min(g for g, d in deviations.items() if not d < 1)
        low = max((g for g, d in deviations.items() if d < 1 and g < high), default=high / 2)
        yield round((low * high) ** 0.5, 4)


def export(name, build, channels, side, smallest):
    model = build(CLASSES).eval()
    shape = (2, channels, side, side)
    x = torch.from_numpy(formula.images(shape))
    tried, deviations = [], {}
    bias = BIAS.get(name, formula.BIAS)
    for gain in gains(deviations):
        formula.fill(model, gain, bias)
        output = run(model, x)
        deviations[gain] = output.std() if np.isfinite(output).all() else np.inf
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
    about = {"gain": str(gain), "bias": str(bias), "side": str(side), "classes": str(CLASSES), "torch": torch.__version__, "torchvision": torchvision.__version__}
    if smallest:
        trained, scale = training(name, build, shape, gain, bias)
        tensors |= trained
        about |= {"loss_scale": repr(scale), "train_images": str(TRAIN_IMAGES)}
        about |= {"train_side": str(TRAIN_SIDE[name])} if name in TRAIN_SIDE else {}
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
    smallest = {INSTEAD.get(name, name) for name in smallest}
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
