"""Writes the expected outputs that the detectors of crates/models are tested against:
crates/models/tests/fixtures/detection/<name>.safetensors

    python scripts/export_detection_reference.py [NAME ...]

Needs torch, torchvision, numpy, safetensors; made with torch 2.9.0 and torchvision 0.24.0 on the CPU, the SSDs with torch
2.15.0 and torchvision 0.29.2. Nothing is random: weights and images come from scripts/reference_formula.py. Each file holds, for
a batch of two images,
  cls_logits, bbox_regression, bbox_ctrness (FCOS)   raw outputs of the heads, evaluation mode
  boxes.<i>, scores.<i>, labels.<i>                  final detections of each image
  loss.<case>.<part>                                 losses of those outputs for the objects in OBJECTS
  resized                                            sizes by the model's own transform of SIZES; not of the SSDs
  gradient.<key>                                     of the whole loss of the first case; of the SSDs
An SSD's labels are torchvision's, which begin at 1.
The gain of the formula is the first of GAINS whose class scores have a standard deviation within 0.3 to 3.
"""

import sys
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models import detection
from torchvision.models.detection.image_list import ImageList

import reference_formula as formula

CLASSES = 5
SHAPE = (2, 3, 64, 96)
GAINS = [1.0, 0.85, 1.2, 0.7, 0.6, 1.4, 1.7, 0.5, 0.4]
OUT = Path(__file__).parent.parent / "crates/models/tests/fixtures/detection"
# torchvision's SSDs count the background as a class; the input's height and width, and the parameters with a gradient.
SSDS = {
    "ssd300_vgg16": ((272, 272), ["backbone.scale_weight", "head.classification_head.module_list.5.bias"]),
    "ssdlite320_mobilenet_v3_large": (
        (64, 96),
        ["backbone.features.0.0.0.weight", "backbone.features.1.0.1.0.weight", "head.regression_head.module_list.0.1.weight"],
    ),
}
MODELS = {name: getattr(detection, name) for name in ("retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn")}
# case: objects (x1 y1 x2 y2 class) of both images
OBJECTS = {
    "both": [[[4, 6, 40, 44, 1], [50, 8, 90, 60, 3], [30, 30, 41, 39, 0]], [[10, 10, 80, 58, 4]]],
    "one": [[], [[2, 3, 30, 24, 2], [0, 0, 96, 64, 0]]],
    "none": [[], []],
}
SIZES = [(480, 640), (427, 640), (333, 1000), (1500, 900), (64, 64), (375, 500)]


def outputs(model, x):
    with torch.no_grad():
        features = list(model.backbone(x).values())
        return features, model.head(features)


def export(name):
    model = MODELS[name](weights=None, weights_backbone=None, num_classes=CLASSES).eval()
    x = torch.from_numpy(formula.images(SHAPE))
    for gain in GAINS:
        formula.fill(model, gain)
        features, head = outputs(model, x)
        spread = head["cls_logits"].std().item()
        if 0.3 <= spread <= 3:
            break
    else:
        raise SystemExit(f"{name}: every gain is degenerate")
    images = ImageList(x, [SHAPE[2:]] * SHAPE[0])
    anchors = model.anchor_generator(images, features)
    tensors = {key: value.contiguous() for key, value in head.items()}
    # Detections from the same outputs, split by level as the model's forward does.
    per_location = 1 if name.startswith("fcos") else model.anchor_generator.num_anchors_per_location()[0]
    rows = [f.size(2) * f.size(3) * per_location for f in features]
    split = {key: list(value.split(rows, dim=1)) for key, value in head.items()}
    found = model.postprocess_detections(split, [list(a.split(rows)) for a in anchors], images.image_sizes)
    for i, result in enumerate(found):
        tensors[f"boxes.{i}"] = result["boxes"].contiguous()
        tensors[f"scores.{i}"] = result["scores"].contiguous()
        tensors[f"labels.{i}"] = result["labels"].float().contiguous()
    for case, objects in OBJECTS.items():
        targets = []
        for image in objects:
            image = torch.tensor(image, dtype=torch.float32).reshape(-1, 5)
            targets.append({"boxes": image[:, :4], "labels": image[:, 4].long()})
        if name.startswith("fcos"):
            losses = model.compute_loss(targets, head, anchors, rows)
        else:
            losses = model.compute_loss(targets, head, anchors)
        for part, value in losses.items():
            tensors[f"loss.{case}.{part}"] = value.detach().reshape(1).contiguous()
    resized = [model.transform.resize(torch.zeros(3, *size), None)[0].shape[1:] for size in SIZES]
    tensors["resized"] = torch.tensor([list(size) for size in resized], dtype=torch.float32)
    about = {"gain": str(gain), "classes": str(CLASSES), "torch": torch.__version__, "torchvision": torchvision.__version__}
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT / f"{name}.safetensors", metadata=about)
    counts = [len(result["scores"]) for result in found]
    parameters = sum(p.numel() for p in MODELS[name](weights=None, weights_backbone=None).parameters())
    print(f"{name}: gain {gain}, spread {spread:.3f}, detections {counts}, {parameters} parameters with 91 classes",
          {k: round(v.item(), 4) for k, v in tensors.items() if k.startswith("loss")}, flush=True)


def export_ssd(name):
    size, gradients = SSDS[name]
    model = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=1 + CLASSES).eval()
    x = torch.from_numpy(formula.images((SHAPE[0], SHAPE[1], *size)))
    for gain in [*GAINS, 1.5, 1.55, 1.6, 1.65]:
        formula.fill(model, gain)
        features, head = outputs(model, x)
        spread = head["cls_logits"].std().item()
        if 0.3 <= spread <= 3 and head["bbox_regression"].std().item() <= 5:
            break
    else:
        raise SystemExit(f"{name}: every gain is degenerate")
    images = ImageList(x, [size] * SHAPE[0])
    anchors = model.anchor_generator(images, features)
    tensors = dict(head)
    for i, result in enumerate(model.postprocess_detections(head, anchors, images.image_sizes)):
        tensors |= {f"boxes.{i}": result["boxes"], f"scores.{i}": result["scores"], f"labels.{i}": result["labels"].float()}
    for number, (case, objects) in enumerate(OBJECTS.items()):
        targets, matched = [], []
        for image, own in zip(objects, anchors):
            image = torch.tensor(image, dtype=torch.float32).reshape(-1, 5)
            targets.append({"boxes": image[:, :4], "labels": 1 + image[:, 4].long()})
            quality = torchvision.ops.box_iou(image[:, :4], own)
            matched.append(model.proposal_matcher(quality) if len(image) else torch.full((len(own),), -1))
        head = model.head(list(model.backbone(x).values()))
        losses = model.compute_loss(targets, head, anchors, matched)
        tensors |= {f"loss.{case}.{part}": value.reshape(1) for part, value in losses.items()}
        if number == 0:
            model.zero_grad()
            sum(losses.values()).backward()
            parameters = dict(model.named_parameters())
            tensors |= {f"gradient.{key}": parameters[key].grad for key in gradients}
    about = {"gain": str(gain), "classes": str(CLASSES), "height": str(size[0]), "width": str(size[1])}
    about |= {"torch": torch.__version__, "torchvision": torchvision.__version__}
    tensors = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    save_file(tensors, OUT / f"{name}.safetensors", metadata=about)
    published = getattr(detection, name)(weights=None, weights_backbone=None)
    print(f"{name}: gain {gain}, spread {spread:.3f}, detections {[len(tensors[f'scores.{i}']) for i in range(SHAPE[0])]},",
          f"{sum(p.numel() for p in published.parameters())} parameters and {len(published.state_dict())} keys with 91 classes",
          {k: round(v.item(), 4) for k, v in tensors.items() if k.startswith("loss")}, flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    for model in sys.argv[1:] or [*MODELS, *SSDS]:
        export_ssd(model) if model in SSDS else export(model)
