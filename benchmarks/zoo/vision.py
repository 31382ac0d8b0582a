"""Picture models: transformers' vision nets from config, and the classics as people write them out."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from entry import entry
from torch import nn
from torch.export import Dim

BATCH = Dim("batch", min=1, max=12)


def _pictures(model: nn.Module, size: int, name: str = "pixel_values") -> dict[str, Any]:
    return {
        "model": model.eval(), "args": (torch.randn(2, 3, size, size),), "dynamic_shapes": {name: {0: BATCH}}
    }  # fmt: skip


@entry
def vit() -> dict[str, Any]:
    from transformers import ViTConfig, ViTForImageClassification

    return _pictures(
        ViTForImageClassification(
            ViTConfig(
                hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=32,
                patch_size=8, num_labels=5,
            )
        ),
        32,
    )  # fmt: skip


@entry
def swin() -> dict[str, Any]:
    from transformers import SwinConfig, SwinModel

    return _pictures(
        SwinModel(
            SwinConfig(image_size=32, patch_size=2, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4)
        ),
        32,
    )


@entry
def convnext() -> dict[str, Any]:
    from transformers import ConvNextConfig, ConvNextForImageClassification

    return _pictures(
        ConvNextForImageClassification(
            ConvNextConfig(hidden_sizes=[16, 32], depths=[1, 2], num_stages=2, num_labels=5)
        ),
        32,
    )


@entry
def segformer() -> dict[str, Any]:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[4, 2], hidden_sizes=[16, 32], patch_sizes=[7, 3],
        strides=[4, 2], num_attention_heads=[2, 4], mlp_ratios=[2, 2], decoder_hidden_size=16, num_labels=4,
    )  # fmt: skip
    return _pictures(SegformerForSemanticSegmentation(config), 64)


class _Block(nn.Module):
    expansion = 1

    def __init__(self, in_planes: int, planes: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class _ResNet(nn.Module):
    def __init__(self, width: int = 8, classes: int = 10) -> None:
        super().__init__()
        self.in_planes = width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layers = nn.Sequential(*(self._layer(width * 2**at, 2, 1 if at == 0 else 2) for at in range(4)))
        self.linear = nn.Linear(width * 8, classes)

    def _layer(self, planes, blocks, stride):
        layers = []
        for each in [stride] + [1] * (blocks - 1):
            layers.append(_Block(self.in_planes, planes, each))
            self.in_planes = planes
        return nn.Sequential(*layers)

    def forward(self, x):
        out = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        out = self.layers(out)
        out = F.adaptive_avg_pool2d(out, 1)
        return self.linear(out.view(out.size(0), -1))


@entry
def resnet18() -> dict[str, Any]:
    source = _pictures(_ResNet(), 64, "x")
    size = Dim("height", min=32, max=128)
    source["dynamic_shapes"] = {"x": {0: BATCH, 2: size, 3: Dim("width", min=32, max=128)}}
    return source


def _divisible(v, divisor):
    return max(divisor, int(v + divisor / 2) // divisor * divisor)


class _InvertedResidual(nn.Module):
    def __init__(self, inp, oup, stride, expand):
        super().__init__()
        hidden = _divisible(inp * expand, 8)
        self.identity = stride == 1 and inp == oup
        self.conv = nn.Sequential(
            nn.Conv2d(inp, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.Hardswish(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, oup, 1, bias=False), nn.BatchNorm2d(oup),
        )  # fmt: skip
        self.se = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(oup, oup, 1), nn.Hardsigmoid())

    def forward(self, x):
        y = self.conv(x)
        y = y * self.se(y)
        if self.identity:
            return x + y
        else:
            return y


@entry
def mobilenet() -> dict[str, Any]:
    """Left in training mode by its author: ship must put it into eval mode and say so."""
    layers = [nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish()]
    for inp, oup, stride, expand in [(8, 8, 1, 1), (8, 16, 2, 4), (16, 16, 1, 4), (16, 24, 2, 4)]:
        layers.append(_InvertedResidual(inp, oup, stride, expand))
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(24, 7))
    return {"model": model, "args": (torch.randn(2, 3, 32, 32),)}


class _UNet(nn.Module):
    """Ronneberger's, with padding to the skip's size as the popular repository has it."""

    def __init__(self):
        super().__init__()
        self.inc, self.down1, self.down2 = self._double(1, 8), self._double(8, 16), self._double(16, 32)
        self.up1, self.up2 = nn.ConvTranspose2d(32, 16, 2, stride=2), nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.conv1, self.conv2 = self._double(32, 16), self._double(16, 8)
        self.outc = nn.Conv2d(8, 2, 1)

    @staticmethod
    def _double(a, b):
        return nn.Sequential(
            nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True),
            nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True),
        )  # fmt: skip

    @staticmethod
    def _join(up, skip):
        dy, dx = skip.size()[2] - up.size()[2], skip.size()[3] - up.size()[3]
        up = F.pad(up, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return torch.cat([skip, up], dim=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(F.max_pool2d(x1, 2))
        x3 = self.down2(F.max_pool2d(x2, 2))
        x = self.conv1(self._join(self.up1(x3), x2))
        x = self.conv2(self._join(self.up2(x), x1))
        return torch.sigmoid(self.outc(x))


@entry
def unet() -> dict[str, Any]:
    return {
        "model": _UNet().eval(), "args": (torch.randn(2, 1, 33, 46),),
        "dynamic_shapes": {"x": {0: BATCH, 2: Dim("height", min=16, max=97), 3: Dim("width", min=16, max=97)}},
    }  # fmt: skip


class _Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        from einops.layers.torch import Rearrange

        self.patches = nn.Sequential(
            Rearrange("b c (h p1) (w p2) -> b (h w) (p1 p2 c)", p1=8, p2=8), nn.Linear(192, 32)
        )
        self.tokens = nn.Sequential(nn.Conv1d(16, 24, 1), nn.GELU(), nn.Conv1d(24, 16, 1))
        self.channels = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 64), nn.GELU(), nn.Linear(64, 32))
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        x = self.patches(x)
        x = x + self.tokens(x)
        x = x + self.channels(x)
        return self.head(x.mean(1))


@entry
def mlp_mixer() -> dict[str, Any]:
    return _pictures(_Mixer(), 32, "x")


class _Normalize(nn.Module):
    """Bytes as a camera gives them, to the numbers that the net was trained on."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, image):
        small = F.interpolate(image.float() / 255, size=(32, 32), mode="bilinear", align_corners=False)
        return (small - self.mean) / self.std


@entry
def camera() -> dict[str, Any]:
    """With preprocess, postprocess and labels; pictures of any size."""
    return {
        "model": _ResNet().eval(), "preprocess": _Normalize().eval(), "postprocess": nn.Softmax(dim=-1).eval(),
        "labels": [f"class {number}" for number in range(10)],
        "args": (torch.randint(0, 256, (2, 3, 48, 40), dtype=torch.uint8),),
        "dynamic_shapes": {"image": {0: BATCH, 2: Dim("height", min=20, max=90), 3: Dim("width", min=20, max=90)}},
    }  # fmt: skip
