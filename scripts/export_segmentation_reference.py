"""Writes outputs of torchvision's segmenters for crates/models/tests/zoo/segmentation.rs, one small file per model:
crates/models/tests/fixtures/segmentation/<name>.safetensors

    python scripts/export_segmentation_reference.py [NAME ...]

Needs torch, torchvision, numpy, safetensors. Nothing is random: weights and images come from
scripts/reference_formula.py. The images have odd sides. Each file holds
  out, aux              [1, CLASSES, HEIGHT, WIDTH]  evaluation mode (aux where the model has it)
  train.out, train.aux  [2, CLASSES, HEIGHT, WIDTH]  training mode, that is batch statistics, dropout off, computed in
                        double precision

The gain of the formula is the first of GAINS whose outputs have a standard deviation within 0.1 to 10 and, for one
model, move by more than the tolerance when any tensor changes by 10 %.
"""

import sys
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

import reference_formula as formula

CLASSES, HEIGHT, WIDTH = 3, 33, 49
RTOL, ATOL = 1e-3, 1e-4
GAINS = [1.414, 1.3, 1.2, 1.1, 1.0, 0.95, 0.9, 0.85, 0.8, 1.7, 2.0]
OUT = Path(__file__).parent.parent / "crates/models/tests/fixtures/segmentation"
MODELS = {
    "lraspp_mobilenet_v3_large": False,
    "deeplabv3_mobilenet_v3_large": True,
    "fcn_resnet50": True,
    "deeplabv3_resnet50": True,
    "fcn_resnet101": True,
    "deeplabv3_resnet101": True,
}
TRAINED = ["lraspp_mobilenet_v3_large", "fcn_resnet50"]
MUTATED = ["fcn_resnet50"]


def run(model, x):
    with torch.no_grad():
        return {name: value for name, value in model(x).items() if name in ("out", "aux")}


def unseen_tensor(model, x, outputs):
    """The first tensor whose change by 10 % no comparison would see."""
    for name, tensor in model.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        before = tensor.clone()
        tensor.mul_(1.1)
        changed = run(model, x)
        seen = any(((changed[n] - o).abs() > ATOL + RTOL * o.abs()).any() for n, o in outputs.items())
        tensor.copy_(before)
        if not seen:
            return name
    return None


def fault(name, model, x, outputs):
    for output, value in outputs.items():
        if not value.isfinite().all() or not 0.1 <= value.std() <= 10:
            return f"{output}: standard deviation {value.std():.3g}"
    if name in MUTATED:
        unseen = unseen_tensor(model, x, outputs)
        return unseen and f"a change of {unseen} is not seen"
    return None


def export(name, aux):
    options = {"aux_loss": True} if aux else {}
    model = getattr(torchvision.models.segmentation, name)(weights=None, weights_backbone=None, num_classes=CLASSES, **options).eval()
    x = torch.from_numpy(formula.images((1, 3, HEIGHT, WIDTH)))
    tried = []
    for gain in GAINS:
        formula.fill(model, gain)
        outputs = run(model, x)
        wrong = fault(name, model, x, outputs)
        if not wrong:
            break
        tried.append(f"  gain {gain}: {wrong}")
    else:
        raise SystemExit("\n".join([f"{name}: every gain is degenerate", *tried]))
    tensors = {k: v.contiguous().clone() for k, v in outputs.items()}
    if name in TRAINED:
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        model.train()
        images = torch.from_numpy(formula.images((2, 3, HEIGHT, WIDTH)))
        trained = run(model.double(), images.double())
        tensors |= {f"train.{k}": v.float().contiguous().clone() for k, v in trained.items()}
    about = {"gain": str(gain), "classes": str(CLASSES), "height": str(HEIGHT), "width": str(WIDTH), "torch": torch.__version__, "torchvision": torchvision.__version__}
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT / f"{name}.safetensors", metadata=about)
    print(name, "gain", gain, {k: round(float(v.std()), 3) for k, v in tensors.items()}, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or MODELS:
        export(name, MODELS[name])
