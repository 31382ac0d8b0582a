"""Linear algebra of small matrices in plain arithmetic: elimination, with the steps written out.

Pivots are chosen as LAPACK chooses them (the largest of a column), by a product with a permutation that is computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchship.lowering.program import Table
from torchship.lowering.refusal import UnloweredError

_LARGEST = 16  # rows: each is a step of its own in the graph
aten = torch.ops.aten


def _rows(x: Tensor, what: str) -> int:
    rows = x.shape[-1]
    if not isinstance(rows, int) or rows > _LARGEST:
        raise UnloweredError(
            f"{what} of matrices of {rows} rows has no plain arithmetic: each row is a step, and {_LARGEST} are most",
            "compute it in __init__ and keep it as a buffer, where it doesn't depend on the inputs; torchscript, "
            "exported and aoti run it as torch does",
        )
    return rows


def _eliminated(x: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Make ``x`` (``[…, rows, m]``, m ≥ rows) upper triangular; give the sign of the swaps with it."""
    sign = torch.ones_like(x[..., 0, 0])
    identity = torch.eye(rows, dtype=x.dtype)
    for step in range(rows - 1):
        below = torch.arange(rows) >= step
        best = torch.where(below, x[..., :, step].abs(), -1.0).argmax(-1)
        swap = _swap(identity, step, best)
        x = swap @ x
        sign = torch.where(best == step, sign, -sign)
        pivot = x[..., step : step + 1, :]
        head = pivot[..., step : step + 1]
        factor = x[..., :, step : step + 1] / torch.where(head == 0, 1.0, head)
        x = x - torch.where((torch.arange(rows) > step).unsqueeze(-1), factor, 0.0) * pivot
    return x, sign


def _swap(identity: Tensor, step: int, best: Tensor) -> Tensor:
    """The permutation that swaps row ``step`` with row ``best``, which is open."""
    rows = identity.shape[0]
    order = torch.arange(rows)
    target = best.unsqueeze(-1)
    order = torch.where(order == step, target, torch.where(order == target, step, order))
    return identity[order]


def _solved(x: Tensor, right: Tensor, what: str) -> Tensor:
    """``x⁻¹ right``, by elimination and by substitution from the last row up."""
    rows = _rows(x, what)
    upper, _ = _eliminated(torch.cat([x, right.expand(*x.shape[:-2], *right.shape[-2:])], -1), rows)
    return _substituted(upper[..., :rows], upper[..., rows:], upper=True)


def _substituted(x: Tensor, right: Tensor, *, upper: bool, unit: bool = False) -> Tensor:
    rows = x.shape[-1]
    found: dict[int, Tensor] = {}
    for row in reversed(range(rows)) if upper else range(rows):
        value = right[..., row, :]
        for known, each in found.items():
            value = value - x[..., row, known].unsqueeze(-1) * each
        found[row] = value if unit else value / x[..., row, row].unsqueeze(-1)
    return torch.stack([found[row] for row in range(rows)], -2)


def _inverse(x: Tensor, *, check_errors: bool = False) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    identity = torch.eye(_rows(x, "the inverse"), dtype=x.dtype)
    return _solved(x, identity, "the inverse"), _no_error(x)


def _solve(
    x: Tensor,
    right: Tensor,
    *,
    left: bool = True,
    check_errors: bool = False,  # noqa: ARG001
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    vector = right.dim() == 1 or (right.dim() == x.dim() - 1 and tuple(right.shape) == tuple(x.shape[:-1]))
    columns = right.unsqueeze(-1) if vector else right
    answer = _solved(x, columns, "the solution") if left else _solved(x.mT, columns.mT, "the solution").mT
    return answer.squeeze(-1) if vector else answer, x, _no_error(x), _no_error(x)


def _determinant(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Only the determinant itself is for use; what torch keeps for the gradient is not."""
    upper, sign = _eliminated(x, _rows(x, "the determinant"))
    return sign * _diagonal(upper).prod(-1), x, _no_error(x)


def _log_determinant(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    upper, sign = _eliminated(x, _rows(x, "the determinant"))
    ends = _diagonal(upper)
    return sign * ends.sign().prod(-1), ends.abs().log().sum(-1), x, _no_error(x)


def _cholesky(x: Tensor, *, upper: bool = False, check_errors: bool = False) -> tuple[Tensor, Tensor]:  # noqa: ARG001
    """Column by column."""
    rows = _rows(x, "the Cholesky factor")
    columns: list[Tensor] = []
    for step in range(rows):
        rest = x[..., :, step]
        for each in columns:
            rest = rest - each * each[..., step : step + 1]
        column = rest / rest[..., step : step + 1].sqrt()
        columns.append(torch.where(torch.arange(rows) >= step, column, 0.0))
    answer = torch.stack(columns, -2 if upper else -1)
    return answer, _no_error(x)


def _solve_triangular(
    x: Tensor, right: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    _rows(x, "the solution")
    if left:
        return _substituted(x, right, upper=upper, unit=unitriangular)
    return _substituted(x.mT, right.mT, upper=not upper, unit=unitriangular).mT


def _diagonal(x: Tensor) -> Tensor:
    return torch.stack([x[..., row, row] for row in range(x.shape[-2])], -1)


def _no_error(x: Tensor) -> Tensor:
    return torch.zeros_like(x[..., 0, 0], dtype=torch.int32)


def _first(lower: Callable[..., Any]) -> Callable[..., Tensor]:
    """The answer alone: torch's own way to it has a check of the matrix, which no converter takes."""

    def alone(*args: Any, **kwargs: Any) -> Tensor:
        answer: Tensor = lower(*args, **kwargs)[0]
        return answer

    return alone


def _sign_and_logarithm(x: Tensor) -> tuple[Tensor, Tensor]:
    sign, logarithm, *_ = _log_determinant(x)
    return sign, logarithm


def _logarithm(x: Tensor) -> Tensor:
    sign, logarithm = _sign_and_logarithm(x)
    return torch.where(sign < 0, torch.nan, logarithm)


def _factor(x: Tensor, upper: bool = False) -> Tensor:
    return _cholesky(x, upper=upper)[0]


ALGEBRA: Table = {
    aten.linalg_inv_ex.default: _inverse,
    aten.linalg_inv.default: _first(_inverse),
    aten.inverse.default: _first(_inverse),
    aten._linalg_solve_ex.default: _solve,
    aten.linalg_solve.default: _first(_solve),
    aten._linalg_det.default: _determinant,
    aten._linalg_slogdet.default: _log_determinant,
    aten.linalg_slogdet.default: _sign_and_logarithm,
    aten.slogdet.default: _sign_and_logarithm,
    aten.logdet.default: _logarithm,
    aten.linalg_cholesky_ex.default: _cholesky,
    aten.linalg_cholesky.default: _factor,
    aten.cholesky.default: _factor,
    aten.linalg_solve_triangular.default: _solve_triangular,
}
