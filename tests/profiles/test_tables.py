"""Parameters from CSV files and from the command line."""

import numpy as np
import pytest

from xrdsim.errors import ParameterError
from xrdsim.profiles.tables import parse_assignments, read_table
from xrdsim.profiles.two_gaussians import NAMES

HEADER = ",".join(NAMES)
ROW = "0.0081,0.0009,5200,3500,0.0025,3000,-50"


def test_columns_may_come_in_any_order(tmp_path):
    plain, turned = tmp_path / "a.csv", tmp_path / "b.csv"
    plain.write_text(f"{HEADER}\n{ROW}\n{ROW}\n")
    turned.write_text("\ufeff" + " , ".join(reversed(NAMES)) + "\r\n" + ",".join(reversed(ROW.split(","))) + "\r\n\r\n")
    expected = [float(value) for value in ROW.split(",")]
    np.testing.assert_array_equal(read_table(plain), [expected, expected])
    np.testing.assert_array_equal(read_table(turned), [expected])


def test_damage_columns(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER},kappa,p\n{ROW},0.4,0.3\n")
    assert read_table(path).shape == (1, 9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "needs a header"),
        (HEADER, "at least one row"),
        (f"{HEADER}\n{ROW},1\n", "line 2: 8 fields"),
        (f"{HEADER}\n{ROW}\n\n{ROW.replace('5200', 'deep')}\n", "line 4: L1 = 'deep'"),
        (f"{HEADER.replace('L1', 'l1')}\n{ROW}\n", "unknown parameter 'l1'; did you mean L1"),
        (f"{HEADER.replace('L1', 'L2')}\n{ROW}\n", "L2 is given 2 times"),
        (f"{HEADER.replace('L1,', '')}\n{ROW[:-4]}\n", "L1 missing"),
        (f"{HEADER},kappa\n{ROW},0.1\n", "p missing"),
    ],
)
def test_a_bad_table_is_explained(tmp_path, text, words):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ParameterError, match=words):
        read_table(path)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(ParameterError, match=r"none\.csv"):
        read_table(tmp_path / "none.csv")


def test_assignments():
    texts = [f"{name}={value}" for name, value in zip(NAMES, ROW.split(","), strict=True)]
    assert parse_assignments(texts[::-1]).tolist() == [[float(value) for value in ROW.split(",")]]
    for bad, words in (
        ([*texts, "Q=1"], "unknown parameter 'Q'"),
        (texts[1:], "Dmax1 missing"),
        ([*texts, "L1=1"], "L1 is given 2"),
        (["L1"], "write NAME=VALUE"),
        (["L1=x"], "'x' is not a number"),
    ):
        with pytest.raises(ParameterError, match=words):
            parse_assignments(bad)
