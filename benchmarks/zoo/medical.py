"""MONAI's networks."""

from __future__ import annotations

from typing import Any

import torch
from entry import entry
from torch.export import Dim

BATCH = Dim("batch", min=1, max=4)


@entry
def monai_unet() -> dict[str, Any]:
    from monai.networks.nets import UNet

    model = UNet(
        spatial_dims=2,
        in_channels=1,
        out_channels=2,
        channels=(4, 8, 16),
        strides=(2, 2),
        num_res_units=2,
        norm="batch",
    )
    return {"model": model.eval(), "args": (torch.randn(2, 1, 32, 32),), "dynamic_shapes": {"x": {0: BATCH}}}


@entry
def monai_unet_3d() -> dict[str, Any]:
    from monai.networks.nets import BasicUNet

    model = BasicUNet(spatial_dims=3, in_channels=1, out_channels=2, features=(4, 4, 8, 8, 16, 4))
    return {"model": model.eval(), "args": (torch.randn(2, 1, 32, 32, 32),), "dynamic_shapes": {"x": {0: BATCH}}}


@entry
def monai_segresnet() -> dict[str, Any]:
    from monai.networks.nets import SegResNet

    model = SegResNet(spatial_dims=2, init_filters=8, in_channels=1, out_channels=2, blocks_down=(1, 1), blocks_up=(1,))
    return {"model": model.eval(), "args": (torch.randn(2, 1, 32, 32),), "dynamic_shapes": {"x": {0: BATCH}}}


@entry
def monai_densenet() -> dict[str, Any]:
    from monai.networks.nets import DenseNet

    model = DenseNet(
        spatial_dims=2, in_channels=1, out_channels=3, init_features=8, growth_rate=4, block_config=(2, 2, 2)
    )
    return {"model": model.eval(), "args": (torch.randn(2, 1, 64, 64),), "dynamic_shapes": {"x": {0: BATCH}}}


@entry
def monai_unetr() -> dict[str, Any]:
    from monai.networks.nets import UNETR

    model = UNETR(
        in_channels=1, out_channels=2, img_size=(32, 32), feature_size=4, hidden_size=24, mlp_dim=32, num_heads=4,
        spatial_dims=2, norm_name="instance",
    )  # fmt: skip
    return {"model": model.eval(), "args": (torch.randn(2, 1, 32, 32),), "dynamic_shapes": {"x_in": {0: BATCH}}}
