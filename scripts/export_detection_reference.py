"""Writes the expected outputs that the detectors of crates/models are tested against:
crates/models/tests/fixtures/detection/<name>.safetensors

    python scripts/export_detection_reference.py [NAME ...]

Needs torch, torchvision, numpy, safetensors; made with torch 2.9.0 and torchvision 0.24.0 on the CPU. Nothing is random:
weights and images come from scripts/reference_formula.py. Each file holds, for a batch of two images,
  cls_logits, bbox_regression, bbox_ctrness (FCOS)   raw outputs of the heads, evaluation mode
  boxes.<i>, scores.<i>, labels.<i>                  final detections of each image
  loss.<case>.<part>                                 losses of those outputs for the objects in OBJECTS
  resized                                            sizes by the model's own transform of SIZES
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


if __name__ == "__main__":
    torch.set_num_threads(2)
    for model in sys.argv[1:] or MODELS:
        export(model)
