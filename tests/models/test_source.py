from __future__ import annotations

import pytest

from torchship.errors import UsageError
from torchship.models.source import input_spec, parse, python_object
from torchship.signature import Dim


def test_a_python_file_and_a_module_are_told_apart(tmp_path):
    file = tmp_path / "net.py"
    file.write_text("")
    assert python_object(f"{file}:make").file == str(file)
    assert python_object("package.module:Net").module == "package.module"
    assert python_object("weights.pth") is None


def test_a_missing_file_is_named():
    with pytest.raises(UsageError, match=r"no such file: nowhere\.py"):
        parse("nowhere.py:make")
    with pytest.raises(UsageError, match=r"no such source: nothing\.pth"):
        parse("nothing.pth")


def test_an_input_spec_with_names_and_ranges():
    spec = input_spec("x:float32[batch=1..64, 3, length]")
    assert spec.shape == ("batch", 3, "length")
    assert spec.dims == (Dim("batch", 1, 64), Dim("length", 1, None))


def test_a_scalar_has_no_dims():
    assert input_spec("temperature:float32[]").shape == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x", "is not NAME:DTYPE"),
        ("x:float99[1]", "unknown element type 'float99'"),
        ("x:float32[1,?]", "'?' is no size and no dim"),
        ("x:float32[b=9..3]", "the range 9..3 is empty"),
    ],
)
def test_a_wrong_input_spec_is_told(text, told):
    with pytest.raises(UsageError) as error:
        input_spec(text)
    assert told in str(error.value)
