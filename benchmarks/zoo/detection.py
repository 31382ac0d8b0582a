"""Detectors: transformers' without anchors, anchors with top-k, suppression in a loop."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from entry import entry
from torch import nn
from torch.export import Dim

BATCH = Dim("batch", min=1, max=8)


@entry
def detr() -> dict[str, Any]:
    from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

    backbone = ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    config = DetrConfig(
        use_timm_backbone=False, backbone=None, use_pretrained_backbone=False, backbone_config=backbone,
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, num_queries=6, num_labels=5,
    )  # fmt: skip

    class Boxes(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
            found = self.model(pixel_values)
            return {"logits": found.logits, "boxes": found.pred_boxes}

    return {
        "model": Boxes(DetrForObjectDetection(config)).eval(), "args": (torch.randn(2, 3, 64, 64),),
        "dynamic_shapes": {"pixel_values": {0: BATCH}},
    }  # fmt: skip


@entry
def yolos() -> dict[str, Any]:
    from transformers import YolosConfig, YolosForObjectDetection

    config = YolosConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, image_size=[32, 48],
        patch_size=8, num_detection_tokens=5, num_labels=4,
    )  # fmt: skip
    return {
        "model": YolosForObjectDetection(config).eval(), "args": (torch.randn(2, 3, 32, 48),),
        "dynamic_shapes": {"pixel_values": {0: BATCH}},
    }  # fmt: skip


class _Anchors(nn.Module):
    """A one-stage head: anchors made from the feature map's size, the best sixteen boxes out."""

    def __init__(self, stride: int = 8) -> None:
        super().__init__()
        self.stride = stride
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.SiLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.SiLU(), nn.Conv2d(16, 16, 3, 2, 1)
        )
        self.classes = nn.Conv2d(16, 4, 1)
        self.boxes = nn.Conv2d(16, 4, 1)

    def forward(self, image):
        features = self.body(image)
        h, w = features.shape[-2:]
        ys = (torch.arange(h, device=image.device) + 0.5) * self.stride
        xs = (torch.arange(w, device=image.device) + 0.5) * self.stride
        grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij"), -1).reshape(-1, 2)
        scores = self.classes(features).flatten(2).sigmoid()
        sizes = self.boxes(features).flatten(2).permute(0, 2, 1).exp()
        best, labels = scores.max(dim=1)
        top, order = best.topk(16, dim=1)
        corners = torch.cat([grid - sizes[..., :2], grid + sizes[..., 2:]], dim=-1)
        return (
            torch.gather(corners, 1, order.unsqueeze(-1).expand(-1, -1, 4)),
            top,
            torch.gather(labels, 1, order),
        )


@entry
def anchor_detector() -> dict[str, Any]:
    size = {2: Dim("height", min=40, max=160), 3: Dim("width", min=40, max=160)}
    return {
        "model": _Anchors().eval(), "args": (torch.randn(2, 3, 64, 80),),
        "dynamic_shapes": {"image": {0: BATCH, **size}},
    }  # fmt: skip


def _overlap(boxes):
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    inside = (high - low).clamp(min=0).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    return inside / (area[:, None] + area[None] - inside)


class _Suppress(nn.Module):
    """Non-maximum suppression in plain torch: a loop of dependent steps, a list of unknown length."""

    def forward(self, boxes, scores):
        order = scores.argsort(descending=True)
        overlap = _overlap(boxes[order])
        keep = torch.ones(boxes.shape[0], dtype=torch.bool)
        for i in range(boxes.shape[0]):
            if keep[i]:
                keep[i + 1 :] &= overlap[i, i + 1 :] < 0.5
        return order[keep]


def _boxes(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    from entry import generator

    draw = generator(number)
    count = [1, 7, 20, 40][number % 4]
    low = torch.rand(count, 2, generator=draw) * 3
    return torch.cat([low, low + torch.rand(count, 2, generator=draw) * 2 + 0.1], 1), torch.rand(count, generator=draw)


@entry
def suppression_loop() -> dict[str, Any]:
    count = Dim("boxes", min=1, max=40)
    return {
        "model": _Suppress().eval(), "args": _boxes(1), "dynamic_shapes": {"boxes": {0: count}, "scores": {0: count}},
        "fresh": _boxes,
    }  # fmt: skip


class _Pyramid(nn.Module):
    """A feature pyramid: each level grown to the size of the one below."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()) for a, b in [(3, 8), (8, 12), (12, 16)]
        )
        self.lateral = nn.ModuleList(nn.Conv2d(c, 8, 1) for c in (8, 12, 16))

    def forward(self, x):
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        outs = [self.lateral[-1](features[-1])]
        for lateral, feature in zip(reversed(self.lateral[:-1]), reversed(features[:-1])):
            outs.insert(0, lateral(feature) + F.interpolate(outs[0], size=feature.shape[-2:], mode="nearest"))
        return outs


@entry
def feature_pyramid() -> dict[str, Any]:
    size = {2: Dim("height", min=16, max=100), 3: Dim("width", min=16, max=100)}
    return {
        "model": _Pyramid().eval(), "args": (torch.randn(2, 3, 37, 50),), "dynamic_shapes": {"x": {0: BATCH, **size}}
    }  # fmt: skip
