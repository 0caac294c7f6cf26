"""Writes the expected outputs that the DCGAN of crates/models is tested against:
crates/models/tests/fixtures/generation/<name>.safetensors

    python scripts/export_dcgan_reference.py

Needs torch, numpy, safetensors (each file names torch's version). The networks are those of PyTorch's DCGAN example,
with the number of layers following from the side. Weights, latent vectors and images come from
scripts/reference_formula.py. Each file holds
  output            evaluation mode; the discriminator's is the probability, as in the example
  train.output      training mode, that is batch statistics, in double precision; the discriminator's before the sigmoid
  train.grad.first  gradient of the first convolution's weight of (train.output * formula "loss").sum() * loss_scale
  train.grad.last   the same of the last convolution's
The spectrally normalised discriminator has no batch normalisation, biases, and PyTorch's spectral_norm around each
convolution; only its training mode is written (one step of power iteration from the formula's vector).
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

import reference_formula as formula

OUT = Path(__file__).parent.parent / "crates/models/tests/fixtures/generation"
GAINS = [1.414, 2.0, 2.8, 1.0, 4.0, 0.7]
IMAGES = 2
TRAIN_IMAGES = 4
ATOL = 1e-4


class Net(nn.Module):
    def __init__(self, layers):
        super().__init__()
        self.main = nn.Sequential(*layers)

    def forward(self, x):
        return self.main(x)


def generator(latent, width, channels, doublings):
    layers, before = [], latent
    for stage in range(doublings):
        after = width * 2 ** (doublings - 1 - stage)
        place = (4, 1, 0) if stage == 0 else (4, 2, 1)
        layers += [nn.ConvTranspose2d(before, after, *place, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
        before = after
    return Net(layers + [nn.ConvTranspose2d(before, channels, 4, 2, 1, bias=False), nn.Tanh()])


def discriminator(width, channels, halvings, spectral=False):
    wrap = nn.utils.spectral_norm if spectral else lambda layer: layer
    layers = [wrap(nn.Conv2d(channels, width, 4, 2, 1, bias=spectral)), nn.LeakyReLU(0.2)]
    before = width
    for stage in range(1, halvings):
        after = width * 2**stage
        norm = nn.Identity() if spectral else nn.BatchNorm2d(after)
        layers += [wrap(nn.Conv2d(before, after, 4, 2, 1, bias=spectral)), norm, nn.LeakyReLU(0.2)]
        before = after
    return Net(layers + [wrap(nn.Conv2d(before, 1, 4, 1, 0, bias=spectral)), nn.Sigmoid()])


def training(build, gain, shape):
    model = build().double().train()
    formula.fill(model, gain)
    model.main[-1] = nn.Tanh() if isinstance(model.main[-1], nn.Tanh) else nn.Identity()
    output = model(torch.from_numpy(formula.images((TRAIN_IMAGES, *shape))).double())
    loss = torch.from_numpy(formula.values("loss", tuple(output.shape), 1.0)).double()
    (output * loss).sum().backward()
    layers = [m for m in model.main if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    first, last = (getattr(m, "weight_orig", m.weight).grad for m in (layers[0], layers[-1]))
    scale = float(np.float32(1.0 / min(first.abs().max(), last.abs().max())))
    tensors = {"train.output": output, "train.grad.first": first * scale, "train.grad.last": last * scale}
    return {k: v.detach().float().contiguous().clone() for k, v in tensors.items()}, scale


def export(name, build, shape, evaluates=True):
    for gain in GAINS:
        model = build().eval()
        formula.fill(model, gain)
        with torch.no_grad():
            output = model(torch.from_numpy(formula.images((IMAGES, *shape))))
        apart = (output[0] - output[1]).abs().max()
        if 0.01 <= output.std() <= 0.8 and apart > 100 * ATOL or not evaluates:
            break
    else:
        raise SystemExit(f"{name}: every gain is degenerate")
    trained, scale = training(build, gain, shape)
    tensors = trained | ({"output": output.contiguous()} if evaluates else {})
    about = {"gain": str(gain), "loss_scale": repr(scale), "torch": torch.__version__}
    OUT.mkdir(parents=True, exist_ok=True)
    save_file(tensors, OUT / f"{name}.safetensors", metadata=about)
    print(f"{name:24} gain {gain} std {output.std():.3f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    export("generator", lambda: generator(10, 4, 3, 3), (10, 1, 1))
    export("discriminator", lambda: discriminator(4, 3, 4), (3, 64, 64))
    export("spectral", lambda: discriminator(4, 2, 3, spectral=True), (2, 32, 32), evaluates=False)
