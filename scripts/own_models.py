"""PyTorch twins of the classifiers that torchvision lacks, under the keys of crates/models."""

import torch
from torch import nn
from torch.nn import functional as F


class LeNet(nn.Module):
    def __init__(self, num_classes, channels=(6, 16), hidden=(120, 84)):
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels[0], 5, padding=2)
        self.conv2 = nn.Conv2d(channels[0], channels[1], 5)
        self.fc1 = nn.Linear(channels[1] * 25, hidden[0])
        self.fc2 = nn.Linear(hidden[0], hidden[1])
        self.fc3 = nn.Linear(hidden[1], num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc3(F.relu(self.fc2(x)))


class ConvBlock(nn.Module):
    def __init__(self, before, width):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(before, width, 3, padding=1, bias=False)])
        self.norms = nn.ModuleList([nn.BatchNorm2d(width)])

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x)))
        return F.max_pool2d(x, 2)


class Cnn(nn.Module):
    def __init__(self, num_classes, channels=(32, 64), hidden=(128,)):
        super().__init__()
        widths = (1, *channels)
        self.blocks = nn.ModuleList(ConvBlock(a, b) for a, b in zip(widths, widths[1:]))
        sizes = (channels[-1] * 49, *hidden)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))
        self.fc = nn.Linear(sizes[-1], num_classes)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        x = x.flatten(1)
        for layer in self.hidden:
            x = F.relu(layer(x))
        return self.fc(x)


class CifarBlock(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=1 if before == after else 2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.grows = before != after

    def forward(self, x):
        shortcut = x
        if self.grows:
            half = x.shape[1] // 2
            shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, half, half))
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class CifarResNet(nn.Module):
    """He et al. 2015, section 4.2, with option A shortcuts."""

    def __init__(self, num_classes, blocks):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        stage = lambda a, b: nn.Sequential(CifarBlock(a, b), *(CifarBlock(b, b) for _ in range(blocks - 1)))
        self.layer1, self.layer2, self.layer3 = stage(16, 16), stage(16, 32), stage(32, 64)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


# name: (builder of the number of classes, input channels, input side, family)
OWN = {
    "lenet": (LeNet, 1, 28, "lenet"),
    "cnn": (Cnn, 1, 28, "cnn"),
    **{
        f"resnet{6 * n + 2}": (lambda classes, n=n: CifarResNet(classes, n), 3, 32, "resnet20")
        for n in (3, 5, 7, 9, 18)
    },
}
