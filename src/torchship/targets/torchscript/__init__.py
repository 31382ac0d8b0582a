"""TorchScript: a frozen archive, by script or by trace."""

GROUP = "server"
