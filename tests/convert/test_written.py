from __future__ import annotations

import pytest

from torchship.convert.diagnosis.written import construct


@pytest.mark.parametrize(
    ("code", "named"),
    [
        ("window = np.hanning(x.shape[1])", "numpy.hanning"),
        ("return torch.from_numpy(np.sort(y.detach().numpy(), axis=1))", "numpy.sort"),
        ("for i in range(1, em.size(1)):", "for"),
        ("for idx in reversed(hist):", "reversed"),
        ("while x.abs().max() > 1:", "while"),
        ("elif mode == 'mean':", "if"),
        ("if keep[i]:", "if"),
        ("raise ValueError('no')", "raise"),
        ("out = self.layers[name](x)", None),
        ("y = self.helper(x).view(-1)", "view"),
        ("from torch_geometric.nn import global_mean_pool", "import"),
        ("continue", "continue"),
        ("self.weight.data *= self.mask", "Tensor.data"),
        ("self.count = 3", None),
        ("h, w = x.shape[-2:]", None),
        ("return F.conv2d(x,", None),
    ],
)
def test_what_a_line_does_has_a_name(code, named):
    assert construct(code) == named
