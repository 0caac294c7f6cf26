"""Loads what `trainer export` wrote of a trained classifier into PyTorch and compares its probabilities with those of
`trainer predict` on the same images: they may differ by 1e-4 where an image has the model's size already, and by 0.02
where it is resized first (the two resizers round differently).

    cargo run --release -p trainer -- export RUN --out exported.safetensors
    cargo run --release -p trainer -- predict RUN IMAGES --json --top 1000 > predictions.json
    python scripts/check_run_export.py exported.safetensors predictions.json

Needs torch, torchvision, safetensors and pillow; models that torchvision lacks are those of own_models.py.
"""

import json
import sys
from pathlib import Path

import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torchvision.transforms import v2

from own_models import OWN


def build(card):
    classes = len(card["classes"])
    if card["model"] in OWN:
        return OWN[card["model"]][0](classes)
    return torchvision.models.get_model(card["model"], weights=None, num_classes=classes)


def prepared(image, card):
    """As the card says: channels, size, values from 0 to 1, mean and deviation."""
    size = [card["height"], card["width"]]
    x = v2.functional.pil_to_tensor(image.convert("L" if card["channels"] == 1 else "RGB"))
    resized = list(x.shape[1:]) != size
    if resized:
        x = v2.functional.resize(x, size, antialias=True)
    x = v2.functional.normalize(x.float() / 255, card["mean"], card["std"])
    return x.unsqueeze(0), resized


def main(weights, predictions):
    card = json.loads(Path(f"{weights}.json").read_text())
    if card["preprocess"]:
        raise SystemExit("the run's `data.preprocess` is not done here; compare a run without it")
    model = build(card).eval()
    model.load_state_dict(load_file(weights), strict=True)
    worst, failed = 0.0, 0
    for entry in json.loads(Path(predictions).read_text()):
        x, resized = prepared(Image.open(entry["file"]), card)
        with torch.no_grad():
            scores = model(x).softmax(1)[0]
        theirs = torch.tensor([scores[card["classes"].index(name)] for name in entry["classes"]])
        difference = (theirs - torch.tensor(entry["scores"])).abs().max().item()
        worst = max(worst, difference)
        if difference > (0.02 if resized else 1e-4):
            failed += 1
            print(f"{entry['file']}: a score differs by {difference:.2e}")
    print(f"{card['model']}: largest difference of a probability {worst:.2e}, {failed} images wrong")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
