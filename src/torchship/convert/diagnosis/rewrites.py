"""What to write instead of an operator that a converter has no rule for. The tests convert each line."""

from __future__ import annotations

import re

REWRITES = {
    "median": "x.sort(dim).values.select(dim, (x.shape[dim] - 1) // 2)",
    "kthvalue": "x.sort(dim).values.select(dim, k - 1)",
    "cummax": "torch.where(torch.ones(n, n, dtype=torch.bool).tril(), x.unsqueeze(-2), -torch.inf).amax(-1)",
    "cummin": "torch.where(torch.ones(n, n, dtype=torch.bool).tril(), x.unsqueeze(-2), torch.inf).amin(-1)",
    "searchsorted": "(edges < x.unsqueeze(-1)).sum(-1)",
    "bucketize": "(edges < x.unsqueeze(-1)).sum(-1)",
    "bincount": "torch.nn.functional.one_hot(x, n).sum(0)",
    "histc": "torch.nn.functional.one_hot(((x - low) / (high - low) * n).long().clamp(0, n - 1), n).sum(0)",
    "cdist": "(x.unsqueeze(-2) - y.unsqueeze(-3)).square().sum(-1).sqrt()",
    "shift_left": "x * 2**n",
    "shift_right": 'torch.div(x, 2**n, rounding_mode="floor")',
    "scatter_reduce": "torch.zeros(n).scatter_add(0, index, x) / "
    "torch.zeros(n).scatter_add(0, index, torch.ones_like(x)).clamp(min=1)",
    "fft": "torch.stack([x @ torch.cos(angles), -(x @ torch.sin(angles))], -1)",
}
WAYS = {
    "sort.stable": "write torch.sort(x, dim), without stable=True, where the order of equal values doesn't matter",
    "scatter_reduce": f"write the mean as a sum divided by counts: {REWRITES['scatter_reduce']}",
    "index_reduce": "write torch.scatter_reduce, with the index expanded to the shape of the values",
    "fft": "multiply by the DFT's matrix, a constant: angles = 2 * torch.pi * torch.outer(torch.arange(n), "
    f"torch.arange(n)) / n; {REWRITES['fft']}",
    "complex": "keep real and imaginary parts as two real tensors, and write the product out",
    "linalg": "compute it in __init__ and keep it as a buffer, where it doesn't depend on the inputs",
    "sparse": "do the same with dense tensors",
    "unique": "sort, and compare neighbours: y = x.sort().values; first = y[1:] != y[:-1]",
    "nested": "pad to one length, and keep a mask",
    "quantile": "sort, and mix the two neighbours of q * (n - 1)",
}
_FAMILIES = (
    (r"fft|stft", "fft"),
    (r"complex|angle|polar|view_as_real", "complex"),
    (r"linalg|cholesky|inverse|slogdet|\bdet\b|lu_|qr\b|svd|eig", "linalg"),
    (r"sparse", "sparse"),
    (r"unique", "unique"),
    (r"nested", "nested"),
    (r"cdist", "cdist"),
    (r"lshift|left_shift", "shift_left"),
    (r"rshift|right_shift", "shift_right"),
)


def instead(op: str) -> str:
    """What to do instead of ``op`` (``aten.median.dim``); empty where nothing better is known."""
    name = op.partition(".")[2]
    family = next((family for pattern, family in _FAMILIES if re.search(pattern, name)), "")
    for key in (name, name.partition(".")[0], family):
        if key in WAYS:
            return WAYS[key]
        if key in REWRITES:
            return f"write {REWRITES[key]}"
    return ""
