"""What stands for an operator gives what the operator gives: elementwise, of whole numbers, of small matrices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from torchship.lowering.algebra import ALGEBRA
from torchship.lowering.arithmetic import PLAIN, SPREADS, WHOLE, vector_norm
from torchship.lowering.distances import DISTANCES
from torchship.lowering.gamma import GAMMA
from torchship.lowering.places import PLACES, convolution
from torchship.lowering.refusal import UnloweredError

aten = torch.ops.aten
TABLE = {**PLAIN, **SPREADS, **WHOLE, **ALGEBRA, **DISTANCES, **GAMMA, **PLACES}
X = torch.tensor([[-3.7, -1.0, -0.2, -0.0], [0.0, 0.5, 2.5, 7.1]])
Y = torch.tensor([[2.0, -1.0, float("nan"), -0.0], [1.0, -0.0, -2.0, 3.0]])
N = torch.tensor([[-7, -6, -1], [0, 5, 9]])
D = torch.tensor([[2, -3, 4], [-5, 3, -2]])
S = torch.tensor([
    [[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]],
    [[0.0, 2.0, 1.0], [1.0, 0.0, 3.0], [2.0, 1.0, 0.0]],
])  # fmt: skip
CALLS: dict[str, tuple[object, tuple[object, ...], dict[str, object]]] = {
    "trunc": (aten.trunc.default, (X,), {}),
    "exp2": (aten.exp2.default, (X,), {}),
    "signbit": (aten.signbit.default, (X,), {}),
    "copysign": (aten.copysign.Tensor, (X, Y[1]), {}),
    "fmax": (aten.fmax.default, (X, Y), {}),
    "fmin": (aten.fmin.default, (X, Y), {}),
    "hypot": (aten.hypot.default, (X * 1e19, X * 1e19), {}),
    "ldexp": (aten.ldexp.Tensor, (X, N[1, 1:2]), {}),
    "round": (aten.round.decimals, (X * 10, ), {"decimals": -1}),
    "logaddexp2": (aten.logaddexp2.default, (X, X + 1), {}),
    "dist": (aten.dist.default, (X, X * 2, 3), {}),
    "addbmm": (aten.addbmm.default, (S[0], S, S), {"beta": 0.5, "alpha": 2.0}),
    "trilinear": (aten._trilinear.default, (S[0], S, S[1], [0], [], [0], [1]), {}),
    "variance": (aten.var.correction, (X,), {}),
    "deviation": (aten.std.correction, (X,), {"correction": 0, "keepdim": True}),
    "floor_divide": (aten.floor_divide.default, (N, D), {}),
    "floor": (aten.div.Scalar_mode, (N, -2), {"rounding_mode": "floor"}),
    "bytes": (aten.div.Tensor_mode, (N.to(torch.int8), D.to(torch.int8)), {"rounding_mode": "trunc"}),
    "remainder": (aten.remainder.Scalar_Tensor, (-7, D), {}),
    "count": (aten.cumsum.default, (X > 0, 1), {}),
    "less": (aten.sub.Scalar, (X, 2, 3), {}),
    "or": (aten.bitwise_or.Scalar, (N, 5), {}),
    "left": (aten.__lshift__.Scalar, (N, 3), {}),
    "right": (aten.bitwise_right_shift.Tensor_Scalar, (N, 1), {}),
    "cdist": (aten.cdist.default, (S, S.flip(1), 1.0), {}),
    "cdist_wide": (aten.cdist.default, (S.repeat(1, 1, 9), S.flip(1).repeat(1, 1, 9)), {}),
    "diagonal": (aten.diagonal.default, (S, 1, 2, 1), {}),
    "below": (aten.diagonal.default, (X, -1), {}),
    "tril": (aten.tril_indices.default, (3, 4, -1), {}),
    "triu": (aten.triu_indices.default, (3, 2, 1), {}),
    "lgamma": (aten.lgamma.default, (torch.tensor([-2.5, -1.0, 0.0, 1e-4, 0.7, 1.0, 2.0, 33.0, torch.inf]),), {}),
    "digamma": (aten.digamma.default, (torch.tensor([-2.5, 1e-4, 0.7, 1.0, 2.0, 33.0, torch.inf]),), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_it_gives_what_the_operator_gives(name: str) -> None:
    operator, args, kwargs = CALLS[name]
    mine, theirs = TABLE[operator](*args, **kwargs), operator(*args, **kwargs)  # type: ignore[operator]
    torch.testing.assert_close(mine, theirs, rtol=2e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("order", [0, 1, 2, 3, torch.inf, -torch.inf])
def test_norms(order: float) -> None:
    torch.testing.assert_close(vector_norm(S, order, [1, 2]), torch.linalg.vector_norm(S, order, (1, 2)))
    torch.testing.assert_close(vector_norm(S, order), torch.linalg.vector_norm(S, order))


ALGEBRAIC: dict[str, tuple[Callable[[], Tensor], Callable[[], Tensor]]] = {
    "inverse": (lambda: ALGEBRA[aten.linalg_inv_ex.default](S)[0], lambda: torch.linalg.inv(S)),
    "solve": (lambda: ALGEBRA[aten._linalg_solve_ex.default](S, S + 1)[0], lambda: torch.linalg.solve(S, S + 1)),
    "vector": (lambda: ALGEBRA[aten._linalg_solve_ex.default](S, S[0])[0], lambda: torch.linalg.solve(S, S[0])),
    "determinant": (lambda: ALGEBRA[aten._linalg_det.default](S)[0], lambda: torch.linalg.det(S)),
    "logarithm": (
        lambda: torch.stack(ALGEBRA[aten._linalg_slogdet.default](S)[:2]), lambda: torch.stack(torch.linalg.slogdet(S))
    ),
    "cholesky": (
        lambda: ALGEBRA[aten.linalg_cholesky_ex.default](S @ S.mT)[0], lambda: torch.linalg.cholesky(S @ S.mT)
    ),
    "logdet": (lambda: ALGEBRA[aten.logdet.default](-S), lambda: torch.logdet(-S)),
    "factor": (lambda: ALGEBRA[aten.linalg_cholesky.default](S[0], True), lambda: torch.linalg.cholesky(S[0]).mT),
    "alone": (lambda: ALGEBRA[aten.linalg_solve.default](S, S + 1, left=False), lambda: (S + 1) @ torch.linalg.inv(S)),
    "triangular": (
        lambda: ALGEBRA[aten.linalg_solve_triangular.default](S[0].tril(), S, upper=False),
        lambda: torch.linalg.solve_triangular(S[0].tril(), S, upper=False),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ALGEBRAIC)
def test_small_matrices_also_where_rows_must_be_swapped(name: str) -> None:
    mine, theirs = ALGEBRAIC[name]
    torch.testing.assert_close(mine(), theirs(), rtol=1e-5, atol=1e-5, equal_nan=True)


def test_large_matrices_are_refused() -> None:
    with pytest.raises(UnloweredError, match="the inverse of matrices of 40 rows has no plain arithmetic"):
        ALGEBRA[aten.linalg_inv_ex.default](torch.eye(40))


def test_fixed_weights_are_left_to_the_converter() -> None:
    answer = convolution(torch.zeros(1, 2, 4, 4), torch.zeros(2, 2, 3, 3), None, [1, 1], [0, 0], [1, 1], False, [0], 1)
    assert answer is NotImplemented
