"""Loads a bundle: hashes checked, golden samples run, the best artifact that this host can run. No torch."""

from torchship.runtime.loading import load
from torchship.runtime.model import ShippedModel

__all__ = ["ShippedModel", "load"]
