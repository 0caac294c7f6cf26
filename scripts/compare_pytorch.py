"""Runs the same work on PyTorch eager and on this repository's CPU kernels, alternately in one go, and prints
the ratios of the medians (below 1: less time than PyTorch).

    cargo build --release --example speed -p firesight-models
    pip install torch torchvision
    python scripts/compare_pytorch.py                     everything, 2 threads each
    python scripts/compare_pytorch.py train "infer.* 1$"  cases whose names contain a pattern
    python scripts/compare_pytorch.py --burn              Burn's own operators instead of the kernels
    python scripts/compare_pytorch.py --onnxruntime infer ONNX Runtime in PyTorch's place (pip: onnxruntime, onnx)

Each case runs in a fresh process per side (`crates/models/examples/speed/main.rs` and this script with --worker).
Blocks of runs alternate; a side waits while the other computes. Columns, all per run:
  wall   median of the runs' milliseconds; other work on the machine disturbs it
  cpu    median over blocks of the process's CPU time (user and system, all threads), which it disturbs less.
         PyTorch's threads spin for a moment when they wait, and that counts
  peak   highest resident memory above what the process had before the case was made, in MiB (Linux)
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A block lasts about this long, so that the change from one side to the other costs little.
BLOCK_SECONDS = 0.25
# Set by --onnxruntime, for the cases of inference.
ONNX_RUNTIME = False


# ---- PyTorch's side ------------------------------------------------------------------------------------------


def inference(name, batch):
    import torch, torchvision

    model = getattr(torchvision.models, name)().eval()
    x = torch.randn(batch, 3, 224, 224)
    if ONNX_RUNTIME:
        return onnx_runtime(model, x)

    def run():
        with torch.inference_mode():
            model(x)

    return run


def onnx_runtime(model, x):
    import io

    import onnxruntime
    import torch

    file = io.BytesIO()
    torch.onnx.export(model, (x,), file, dynamo=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: x.numpy()}
    return lambda: session.run(None, feed)


def classifier(build, channels, side, batch):
    """Forward, cross-entropy, reading of the loss, backward, SGD with momentum."""
    import torch

    model = build()
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    x = torch.randn(batch, channels, side, side)
    targets = torch.arange(batch) % 10

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(x), targets)
        loss.item()
        loss.backward()
        optimizer.step()

    return run


def own(name):
    import own_models

    return own_models.OWN[name][0](10)


def resnet18_cifar():
    import torch, torchvision

    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    return model


def mobilenet():
    import torchvision

    return torchvision.models.mobilenet_v2(num_classes=10)


def segmenter(batch):
    """An FCN over a ResNet-18 on images of 256x256, the loss averaged over pixels."""
    import torch, torchvision
    from torchvision.models._utils import IntermediateLayerGetter
    from torchvision.models.segmentation.fcn import FCN, FCNHead

    body = IntermediateLayerGetter(torchvision.models.resnet18(), {"layer4": "out"})
    model = FCN(body, FCNHead(512, 21)).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    x = torch.randn(batch, 3, 256, 256)
    targets = (torch.arange(batch * 256 * 256) // 1000 % 21).view(batch, 256, 256)

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(x)["out"], targets)
        loss.item()
        loss.backward()
        optimizer.step()

    return run


def dcgan(batch):
    """The discriminator's step on real and generated images, then the generator's (as speed/dcgan.rs)."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits as bce

    widths = [100, 512, 256, 128, 64, 3]
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.ConvTranspose2d(a, b, 4, 1 if i == 0 else 2, 0 if i == 0 else 1, bias=False))
        layers += [nn.BatchNorm2d(b), nn.ReLU(True)] if i < 4 else [nn.Tanh()]
    generator = nn.Sequential(*layers)
    widths = [3, 64, 128, 256, 512, 1]
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.Conv2d(a, b, 4, 1 if i == 4 else 2, 0 if i == 4 else 1, bias=False))
        layers += [nn.BatchNorm2d(b)] if 0 < i < 4 else []
        layers += [nn.LeakyReLU(0.2, True)] if i < 4 else [nn.Flatten()]
    discriminator = nn.Sequential(*layers)
    rules = [torch.optim.Adam(m.parameters(), lr=2e-4, betas=(0.5, 0.999)) for m in (generator, discriminator)]
    real, noise = torch.randn(batch, 3, 64, 64), torch.randn(batch, 100, 1, 1)
    ones, zeros = torch.ones(batch, 1), torch.zeros(batch, 1)

    def run():
        rules[1].zero_grad(set_to_none=True)
        fake = generator(noise)
        loss = bce(discriminator(real), ones) + bce(discriminator(fake.detach()), zeros)
        loss.item()
        loss.backward()
        rules[1].step()
        rules[0].zero_grad(set_to_none=True)
        loss = bce(discriminator(fake), ones)
        loss.item()
        loss.backward()
        rules[0].step()

    return run


def optimizer(make):
    import torch, torchvision

    parameters = list(torchvision.models.resnet18().parameters())
    for p in parameters:
        p.grad = torch.randn_like(p) * 0.01
    return make(torch.optim, parameters).step


def layer(module, shape):
    """Forward and all gradients of one layer, whose output's gradient is one everywhere."""
    import torch

    x = torch.randn(shape, requires_grad=True)

    def run():
        x.grad = None
        module.zero_grad(set_to_none=True)
        y = module(x)
        y.backward(torch.ones_like(y))

    return run


def conv(inputs, outputs, side, kernel, stride, groups, batch):
    import torch

    module = torch.nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return layer(module, (batch, inputs, side, side))


def transposed():
    import torch

    return layer(torch.nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), (32, 128, 16, 16))


def norm():
    import torch

    return layer(torch.nn.Sequential(torch.nn.BatchNorm2d(64), torch.nn.ReLU()), (64, 64, 32, 32))


def max_pool():
    import torch

    return layer(torch.nn.MaxPool2d(3, 2, 1), (8, 64, 112, 112))


# To add one: a line here and one of the same name in crates/models/examples/speed/main.rs.
CASES = {
    "infer resnet18 1": lambda: inference("resnet18", 1),
    "infer resnet18 8": lambda: inference("resnet18", 8),
    "infer resnet50 1": lambda: inference("resnet50", 1),
    "infer resnet50 8": lambda: inference("resnet50", 8),
    "train lenet 256": lambda: classifier(lambda: own("lenet"), 1, 28, 256),
    "train resnet18-cifar 64": lambda: classifier(resnet18_cifar, 3, 32, 64),
    "train resnet20 128": lambda: classifier(lambda: own("resnet20"), 3, 32, 128),
    "train mobilenet_v2 64": lambda: classifier(mobilenet, 3, 32, 64),
    "train fcn-resnet18 2": lambda: segmenter(2),
    "train dcgan 32": lambda: dcgan(32),
    "optimizer sgd": lambda: optimizer(lambda o, p: o.SGD(p, lr=1e-4, momentum=0.9, weight_decay=5e-4)),
    "optimizer adam": lambda: optimizer(lambda o, p: o.Adam(p, lr=1e-4)),
    "conv 3x3 64-64 32px": lambda: conv(64, 64, 32, 3, 1, 1, 64),
    "conv 3x3 256-256 8px": lambda: conv(256, 256, 8, 3, 1, 1, 64),
    "conv 3x3 3-64 32px": lambda: conv(3, 64, 32, 3, 1, 1, 64),
    "conv 3x3/2 64-128 32px": lambda: conv(64, 128, 32, 3, 2, 1, 64),
    "conv 1x1/2 64-128 32px": lambda: conv(64, 128, 32, 1, 2, 1, 64),
    "conv 7x7/2 3-64 224px": lambda: conv(3, 64, 224, 7, 2, 1, 8),
    "conv depthwise 96 32px": lambda: conv(96, 96, 32, 3, 1, 96, 64),
    "conv transposed 4x4/2 128-64 16px": transposed,
    "norm relu 64 32px": norm,
    "max pool 3x3/2 64 112px": max_pool,
}


def worker(threads):
    """This script's side of the protocol that speed/main.rs describes."""
    import torch
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    work = None
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "list":
            answer = "\t".join(CASES)
        elif command == "case":
            work = None
            work = CASES[rest]()
            work(), work()
            answer = "ready"
        elif command == "run":
            times = []
            for _ in range(int(rest)):
                start = time.perf_counter()
                work()
                times.append(f"{(time.perf_counter() - start) * 1e3:.4f}")
            answer = " ".join(times)
        else:
            raise SystemExit(f"unknown command {command!r}")
        print(answer, flush=True)


# ---- The driver ----------------------------------------------------------------------------------------------


class Side:
    """A process that runs cases."""

    def __init__(self, command, threads):
        env = dict(os.environ, RAYON_NUM_THREADS=str(threads), OMP_NUM_THREADS=str(threads), CUDA_VISIBLE_DEVICES="")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT / "scripts"
        )
        self.cases = self.ask("list").split("\t")
        self.idle = self.memory("VmRSS")
        self.walls, self.cpus = [], []

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if not answer or answer.startswith("error"):
            raise SystemExit(f"{self.process.args[0]} on {line!r}: {answer or 'no answer'}")
        return answer

    def memory(self, key):
        """MiB, None where the system has no /proc."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        return int(re.search(rf"{key}:\s+(\d+)", status)[1]) / 1024

    def cpu(self):
        """Seconds of CPU time of all threads so far (Linux's clock of another process), NaN elsewhere."""
        try:
            return time.clock_gettime((~self.process.pid << 3) | 2)
        except (AttributeError, OSError):
            return float("nan")

    def block(self, count):
        before = self.cpu()
        times = [float(t) for t in self.ask(f"run {count}").split()]
        self.cpus.append((self.cpu() - before) * 1e3 / count)
        self.walls.extend(times)
        return times

    def result(self):
        peak = self.memory("VmHWM")
        return {
            "wall": statistics.median(self.walls),
            "cpu": statistics.median(self.cpus),
            "peak": peak - self.idle if peak is not None else float("nan"),
            "runs": len(self.walls),
        }

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compare(name, ours, theirs, threads, seconds):
    sides = [Side(ours, threads), Side(theirs, threads)]
    counts = []
    for side in sides:
        side.ask(f"case {name}")
        # One block to settle, which also says how many runs make a block.
        side.block(3)
        counts.append(max(1, round(BLOCK_SECONDS * 1e3 / min(side.walls))))
        side.walls.clear(), side.cpus.clear()
    end = time.monotonic() + seconds
    rounds = 0
    while rounds < 5 or time.monotonic() < end:
        # Neither side is always the first.
        order = [0, 1] if rounds % 2 == 0 else [1, 0]
        for i in order:
            sides[i].block(counts[i])
        rounds += 1
    results = [side.result() for side in sides]
    for side in sides:
        side.close()
    return results


def speed_binary():
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [p for p in (target / kind / "examples" / "speed" for kind in ("release", "debug")) if p.exists()]
    if not built:
        raise SystemExit("first: cargo build --release --example speed -p firesight-models")
    return max(built, key=lambda p: p.stat().st_mtime)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patterns", nargs="*", help="regular expressions; a case that contains one is run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=15, help="for each case, both sides together")
    parser.add_argument("--binary", type=Path, help="the example `speed`; the newest build by default")
    parser.add_argument("--burn", action="store_true", help="Burn's operators instead of the kernels")
    parser.add_argument("--onnxruntime", action="store_true", help="in PyTorch's place; cases of inference only")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        global ONNX_RUNTIME
        ONNX_RUNTIME = options.onnxruntime
        return worker(options.threads)

    ours = [str(options.binary.resolve() if options.binary else speed_binary()), *(["--burn"] if options.burn else [])]
    theirs = [sys.executable, str(Path(__file__).resolve()), "--worker", "--threads", str(options.threads)]
    if options.onnxruntime:
        theirs.append("--onnxruntime")
    print(f"{ours[0]} against {'ONNX Runtime' if options.onnxruntime else 'PyTorch'}, {options.threads} threads each, load {os.getloadavg()[0]:.1f} at the start")
    print(f"{'ours / PyTorch':34} {'wall ms':>17} {'ratio':>5}  {'cpu ms':>17} {'ratio':>5}  {'peak MiB':>12} {'ratio':>5}")
    results = {}
    for name in CASES:
        if options.patterns and not any(re.search(p, name) for p in options.patterns):
            continue
        if options.onnxruntime and not name.startswith("infer"):
            continue
        us, them = compare(name, ours, theirs, options.threads, options.seconds)
        results[name] = {"ours": us, "pytorch": them}
        columns = []
        for key, width, digits in (("wall", 8, 2), ("cpu", 8, 2), ("peak", 6, 0)):
            ratio = us[key] / them[key] if them[key] else float("nan")
            columns.append(f"{us[key]:{width}.{digits}f}/{them[key]:{width}.{digits}f} {ratio:5.2f}")
        print(f"{name:34} " + "  ".join(columns), flush=True)
        if options.json:
            options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
