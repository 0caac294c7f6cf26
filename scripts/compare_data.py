"""Images a second of Firesight's loader and of torchvision's DataLoader, measured alternately.

    python scripts/compare_data.py [--images 400] [--pairs 7] [--photos FOLDER] [--write crates/data/BENCHMARKS.md]

The same work on both sides: JPEG files of 500x375 from disk, random resized crop to 224 (antialiased), horizontal flip,
normalise to float, batches of 32, two workers. Three contenders take turns in each round, so that whatever else the
machine does meets all of them: Firesight (the example `throughput`, built here in release mode), torchvision with its
own decoder and v2 transforms on tensors, torchvision with Pillow. Each turn warms up with one epoch and times one; in
Firesight's case in a process of its own, in torchvision's with persistent workers, so that no start is timed. The
medians and the medians of the ratios within a round are printed and, if asked, written.

The files are made from photographs (by default ../shared/data/coco-mini), resized and cropped to 500x375 and saved by
Pillow with quality 90 and 4:2:0, in a temporary folder. Needs torch, torchvision and pillow. Random crops differ on the
two sides, their distribution does not.
"""

import argparse
import datetime
import platform
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_image
from torchvision.transforms import v2

ROOT = Path(__file__).resolve().parent.parent
SIZE = (500, 375)
BATCH = 32
WORKERS = 2


def make_images(photos: Path, folder: Path, count: int) -> None:
    sources = sorted(photos.rglob("*.jpg"))
    if not sources:
        raise SystemExit(f"no photographs under {photos}")
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    for i in range(count):
        photo = Image.open(sources[i % len(sources)]).convert("RGB")
        scale = max(SIZE[0] / photo.width, SIZE[1] / photo.height)
        photo = photo.resize((round(photo.width * scale) + 1, round(photo.height * scale) + 1), Image.LANCZOS)
        photo.crop((0, 0, *SIZE)).save(folder / "ab"[i % 2] / f"{i:05}.jpg", quality=90)


def read_with_torchvision(path: str) -> torch.Tensor:
    return decode_image(path, mode=ImageReadMode.RGB)


def torchvision_loader(folder: Path, decoder: str) -> DataLoader:
    crop = [v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip()]
    normalise = [v2.ToDtype(torch.float32, scale=True), v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    if decoder == "torchvision":
        dataset = ImageFolder(str(folder), v2.Compose(crop + normalise), loader=read_with_torchvision)
    else:
        dataset = ImageFolder(str(folder), v2.Compose([*crop, v2.ToImage(), *normalise]))
    return DataLoader(dataset, BATCH, shuffle=True, num_workers=WORKERS, persistent_workers=True)


def epoch_of(loader: DataLoader) -> float:
    """Images a second of one epoch."""
    start, images, total = time.perf_counter(), 0, 0.0
    for batch, _ in loader:
        images += len(batch)
        total += float(batch.view(-1)[batch.numel() // 2])
    return images / (time.perf_counter() - start)


def torchvision_turn(folder: Path, decoder: str) -> float:
    loader = torchvision_loader(folder, decoder)
    epoch_of(loader)
    return epoch_of(loader)


def firesight_turn(program: Path, folder: Path) -> float:
    command = [str(program), str(folder), "--workers", str(WORKERS), "--epochs", "1", "--batch", str(BATCH)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(re.search(r"images/s ([\d.]+)", output).group(1))


def build() -> Path:
    command = ["cargo", "build", "--release", "-p", "firesight-data", "--example", "throughput", "--message-format=json"]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Path(re.findall(r'"executable":"([^"]+)"', output)[-1])


def processor() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if platform.system() == "Linux" else None
    return found.group(1) if found else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--photos", type=Path, default=ROOT.parent / "shared" / "data" / "coco-mini")
    parser.add_argument("--program", type=Path, help="the built example, to skip building it")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    program = arguments.program or build()
    turns = {
        "Firesight": lambda folder: firesight_turn(program, folder),
        "torchvision, its own decoder": lambda folder: torchvision_turn(folder, "torchvision"),
        "torchvision, Pillow": lambda folder: torchvision_turn(folder, "pillow"),
    }
    rates = {name: [] for name in turns}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "images"
        make_images(arguments.photos, folder, arguments.images)
        for pair in range(arguments.pairs):
            for name, turn in turns.items():
                rates[name].append(turn(folder))
            print(pair, {name: round(values[-1]) for name, values in rates.items()}, flush=True)
    ours = rates["Firesight"]
    lines = ["| Loader | images/s, median (least to most) | Firesight is faster by, median of the rounds (least to most) |", "|---|---|---|"]
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(ours, values)]
        spread = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})" if values is not ours else ""
        lines.append(f"| {name} | {statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f}) | {spread} |")
    versions = f"torch {torch.__version__}, torchvision {torchvision.__version__}, Pillow {Image.__version__}"
    about = (
        f"{datetime.date.today()}, {processor()}, {WORKERS} workers, {arguments.images} JPEG files of {SIZE[0]}x{SIZE[1]}, "
        f"batches of {BATCH}, {arguments.pairs} rounds; {versions}."
    )
    print("\n".join(["", about, "", *lines]))
    if arguments.write:
        text = arguments.write.read_text() if arguments.write.exists() else "# Benchmarks of the data crate\n"
        head = text.split("## Loader against torchvision")[0].rstrip()
        tail = "\n".join(["## Loader against torchvision", "", "`python scripts/compare_data.py`; " + about, "", *lines, ""])
        rest = re.search(r"\n## (?!Loader against torchvision).*", text[len(head) :], re.S)
        arguments.write.write_text(head + "\n\n" + tail + (rest.group(0) if rest else ""))


if __name__ == "__main__":
    main()
