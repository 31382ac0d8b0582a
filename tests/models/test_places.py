"""Places in Python code, told in the user's terms."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from torchship.models.places import Place, enclosing

SOURCE = textwrap.dedent(
    """\
    class Net:
        def forward(
            self,
            x: int,
        ) -> int:
            # a comment
            y = x + 1
            if y:
                return y

            def inner(): return 1

            return inner()

    TOP = 3
    """
)


@pytest.mark.parametrize(
    ("line", "name"), [(7, "forward"), (9, "forward"), (13, "forward"), (11, "inner"), (15, ""), (1, "")]
)
def test_the_function_around_a_line_also_behind_a_signature_of_several_lines(tmp_path: Path, line: int, name: str):
    file = tmp_path / "net.py"
    file.write_text(SOURCE)
    assert enclosing(str(file), line) == name


def test_a_place_is_told_by_name_line_and_function(tmp_path: Path):
    assert str(Place(str(tmp_path / "net.py"), 31, "forward")) == "net.py:31 in forward"
    assert str(Place("/x/site-packages/timm/models/vit.py", 3)) == "timm/models/vit.py:3"
