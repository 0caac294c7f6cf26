"""Writes the expected outputs that the YOLOX of crates/models are tested against:
crates/models/tests/fixtures/detection/<name>.safetensors

    python scripts/export_yolox_reference.py YOLOX [NAME ...]

YOLOX is the unpacked source archive of PyPI's yolox 0.3.0, which runs without being built. Needs torch, torchvision, numpy,
safetensors; made with torch 2.15.0 and torchvision 0.29.2 on the CPU. Nothing is random: weights and images come from
scripts/reference_formula.py. Each file holds, for a batch of two images,
  cls_logits, bbox_regression, objectness   raw outputs of the head, evaluation mode
  decoded                                   boxes in pixels, center and size, as the published forward gives them
  boxes.<i>, scores.<i>, labels.<i>         final detections of each image, by the evaluation's numbers
  loss.<case>.<part>                        losses of those outputs for the objects in OBJECTS
  gradient.<key>                            of the whole loss of the first case, normalization by running statistics
Images are SCALE times the formula's plus SHIFT. The gain of the formula is the first of GAINS whose class scores have a
standard deviation within 0.3 to 3, and the raw box values one of 2 at most.
"""

import sys
from pathlib import Path
from unittest.mock import MagicMock

import torch
import torchvision
from safetensors.torch import save_file

import reference_formula as formula
from export_detection_reference import CLASSES, OBJECTS, OUT, SHAPE

SIZES = {
    "yolox_nano": (0.33, 0.25, True),
    "yolox_tiny": (0.33, 0.375, False),
    "yolox_s": (0.33, 0.50, False),
    "yolox_m": (0.67, 0.75, False),
    "yolox_l": (1.00, 1.00, False),
    "yolox_x": (1.33, 1.25, False),
}
CHANNELS = [256, 512, 1024]
GAINS = [1.4, 1.35, 1.3, 1.25, 1.2, 1.15, 1.1, 1.05, 1.0]
# Values as the published networks take them, from 0 to 255.
SCALE, SHIFT = 64.0, 128.0
SCORE, OVERLAP = 0.01, 0.65
GRADIENTS = [
    "backbone.backbone.stem.conv.conv.weight",
    "head.cls_preds.0.weight",
    "head.reg_preds.1.weight",
    "head.obj_preds.2.bias",
]


def build(name, classes):
    from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead

    depth, width, depthwise = SIZES[name]
    options = {"in_channels": CHANNELS, "depthwise": depthwise, "act": "silu"}
    model = YOLOX(YOLOPAFPN(depth, width, **options), YOLOXHead(classes, width, **options))
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eps, layer.momentum = 1e-3, 0.03
    return model.eval()


def raw_outputs(model, x):
    """The maps of the last layers as rows, all levels one after the other, and the decoded outputs."""
    head, maps = model.head, {}
    layers = {"cls_logits": head.cls_preds, "bbox_regression": head.reg_preds, "objectness": head.obj_preds}
    hooks = [
        layer.register_forward_hook(lambda _, __, y, key=key: maps.setdefault(key, []).append(y))
        for key, levels in layers.items()
        for layer in levels
    ]
    with torch.no_grad():
        decoded = model(x)
    for hook in hooks:
        hook.remove()
    rows = {key: torch.cat([y.flatten(2).permute(0, 2, 1) for y in levels], 1) for key, levels in maps.items()}
    return rows, decoded


def labels(objects):
    """Rows (class, center, size), zeros behind the last object."""
    table = torch.zeros(len(objects), max(1, *map(len, objects)), 5)
    for image, rows in enumerate(objects):
        for at, (x1, y1, x2, y2, label) in enumerate(rows):
            table[image, at] = torch.tensor([label, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])
    return table


def losses(model, x, objects):
    model.train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    model.head.use_l1 = True
    result = model(x, labels(objects))
    model.eval()
    return result


def export(name):
    from yolox.utils import postprocess

    model = build(name, CLASSES)
    x = SCALE * torch.from_numpy(formula.images(SHAPE)) + SHIFT
    for gain in GAINS:
        formula.fill(model, gain)
        rows, decoded = raw_outputs(model, x)
        spread, boxes = rows["cls_logits"].std().item(), rows["bbox_regression"].std().item()
        if 0.3 <= spread <= 3 and boxes <= 2:
            break
    else:
        raise SystemExit(f"{name}: every gain is degenerate")
    tensors = {**rows, "decoded": decoded[..., :4]}
    for image, found in enumerate(postprocess(decoded.clone(), CLASSES, SCORE, OVERLAP)):
        tensors[f"boxes.{image}"] = found[:, :4]
        tensors[f"scores.{image}"] = found[:, 4] * found[:, 5]
        tensors[f"labels.{image}"] = found[:, 6]
    for number, (case, objects) in enumerate(OBJECTS.items()):
        result = losses(model, x, objects)
        names = {"iou_loss": "bbox_regression", "conf_loss": "objectness", "cls_loss": "classification", "l1_loss": "l1"}
        for key, part in names.items():
            tensors[f"loss.{case}.{part}"] = result[key].detach().reshape(1)
        if number == 0:
            model.zero_grad()
            result["total_loss"].backward()
            parameters = dict(model.named_parameters())
            tensors |= {f"gradient.{key}": parameters[key].grad for key in GRADIENTS}
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    about = {"gain": str(gain), "scale": str(SCALE), "shift": str(SHIFT), "classes": str(CLASSES), "torch": torch.__version__, "torchvision": torchvision.__version__, "yolox": "0.3.0"}
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT / f"{name}.safetensors", metadata=about)
    published = build(name, 80)
    print(f"{name}: gain {gain}, spread {spread:.3f}, detections {[len(tensors[f'scores.{i}']) for i in range(SHAPE[0])]},",
          f"{sum(p.numel() for p in published.parameters())} parameters and {len(published.state_dict())} keys with 80 classes",
          {k: round(v.item(), 4) for k, v in tensors.items() if k.startswith("loss")}, flush=True)


def assignment():
    """Writes yolox_assignment.safetensors: assignments of crowded pictures whose boxes are nearly found, so that objects take
    several cells and contend for them. For each picture <i>: boxes (corners), logits, objectness, objects, assigned.
    """
    head = build("yolox_nano", CLASSES).head
    levels = [(12, 16, 8), (6, 8, 16), (3, 4, 32)]
    grid = torch.tensor([(x, y, s) for h, w, s in levels for y in range(h) for x in range(w)], dtype=torch.float32)
    u = lambda name, *shape: torch.from_numpy(formula.values(name, shape, 1.0, 1.0)) / (1.0 if len(shape) == 1 else (3.0 / shape[-1]) ** 0.5)
    tensors = {}
    for picture, count in enumerate([1, 4, 9, 16]):
        where, size = u(f"where.{picture}", count, 2), u(f"size.{picture}", count, 2)
        center = torch.tensor([64.0, 48.0]) + where * torch.tensor([50.0, 36.0])
        truths = torch.cat([center, 26 + 18 * size], 1)
        classes = torch.arange(count) % CLASSES
        middle = (grid[:, :2] + 0.5) * grid[:, 2:]
        nearest = torch.cdist(middle, truths[:, :2]).argmin(1)
        noise = u(f"noise.{picture}", len(grid), 4)
        boxes = truths[nearest] + noise * truths[nearest][:, 2:].repeat(1, 2) * 0.25
        logits = 3 * u(f"logits.{picture}", len(grid), CLASSES) + 2 * torch.nn.functional.one_hot(classes[nearest], CLASSES)
        objectness = 3 * u(f"objectness.{picture}", len(grid), 1)
        _, mask, overlaps, objects, _ = head.get_assignments(
            0, count, len(grid), truths, classes.float(), boxes, grid[None, :, 2], grid[None, :, 0], grid[None, :, 1],
            logits[None], boxes[None], objectness[None], None, None)
        corners = torch.cat([truths[:, :2] - truths[:, 2:] / 2, truths[:, :2] + truths[:, 2:] / 2], 1)
        tensors |= {
            f"boxes.{picture}": torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1),
            f"logits.{picture}": logits,
            f"objectness.{picture}": objectness,
            f"objects.{picture}": torch.cat([corners, classes[:, None].float()], 1),
            f"assigned.{picture}": torch.stack([mask.nonzero()[:, 0].float(), objects.float(), overlaps], 1),
        }
        print(f"assignment {picture}: {count} objects, {int(mask.sum())} cells", flush=True)
    save_file({key: value.contiguous() for key, value in tensors.items()}, OUT / "yolox_assignment.safetensors", metadata={"yolox": "0.3.0"})


if __name__ == "__main__":
    torch.set_num_threads(2)
    sys.path.insert(0, sys.argv[1])
    # Imported there for logs, pictures and counts of operations.
    for module in ("loguru", "cv2", "thop", "tabulate", "tqdm"):
        sys.modules[module] = MagicMock()
    for model in sys.argv[2:] or ["assignment", *SIZES]:
        assignment() if model == "assignment" else export(model)
