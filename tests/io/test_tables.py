"""Reading tables: column names, text formats, and hints at the options that a file needs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sparsam.io.columns import as_numbers
from sparsam.io.tables import CsvFormat, has_header, read_table, take_columns


@pytest.fixture
def write(tmp_path):
    def write(content, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content.encode(encoding))
        return path

    return write


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("y1,lab,y1\n1,2,3\n", "several columns are named 'y1': rename all but one"),
        ("a;b;c\n1;2;3\n", r"one column, 'a;b;c'; its values seem to have another separator: try --sep ';'"),
        ("a\tb\n1\t2\n", r"try --sep '\\t'"),
        ("a b\n1 2\n", r"try --sep '\\s\+'"),
        ("a;b\n1,5;2\n3;4\n", r"first row has 2 values, but its header has 1 names: .*; .*try --sep ';'"),
        (
            "a,b\n1,2,\n3,4,\n",
            "first row has 3 values, but its header has 2 names: name every column, and do not end rows",
        ),
        ("a,b\n1,2\n1,2,3\n", "cannot be read: .*line 3"),
        ("a,b\n", "no rows or no columns"),
        ("", "No columns to parse"),
    ],
)
def test_faults_of_text_are_named_with_their_cure(write, content, message):
    path = write(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_table(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(("encoding", "cure"), [("cp1252", "--encoding cp1252"), ("utf-16", "--encoding utf-16")])
def test_bytes_that_are_not_utf_8_are_named_with_their_cure(write, encoding, cure):
    path = write("größe,b\n1,2\n", encoding=encoding)
    with pytest.raises(ValueError, match=f"its text is not utf-8: use {cure}"):
        read_table(path)
    assert list(read_table(path, csv_format=CsvFormat(encoding=encoding))) == ["größe", "b"]


@pytest.mark.parametrize(
    ("content", "form", "name"),
    [
        ("a;b\n1,5;2\n1.000,5;4\n", CsvFormat(sep=";", decimal=",", thousands="."), "t.csv"),
        ("a\tb\n1.5\t2\n1000.5\t4\n", CsvFormat(), "t.tsv"),
        ('\ufeffa,b\n1.5,2\n"1,000.5",4\n', CsvFormat(thousands=","), "t.CSV"),
        ("a b\n1.5 2\n1000.5  4\n", CsvFormat(sep=r"\s+"), "t.csv"),
    ],
)
def test_formats_of_text(write, content, form, name):
    table = read_table(write(content, name), csv_format=form)
    pd.testing.assert_frame_equal(table, pd.DataFrame({"a": [1.5, 1000.5], "b": [2, 4]}))


@pytest.mark.parametrize("marks", [{"sep": ";;"}, {"decimal": ""}, {"decimal": ",", "sep": ","}, {"thousands": "."}])
def test_formats_that_contradict_themselves_are_refused(marks):
    with pytest.raises(ValueError, match=r"must be one character|they must differ"):
        CsvFormat(**marks)


def test_text_stays_as_it_is_written(write):
    path = write("code,x\n01,1\n2,1\n,3\n")
    table = read_table(path, text=["code", "another"])
    assert table.code.tolist()[:2] == ["01", "2"]
    assert table.code.isna().tolist() == [False, False, True]
    assert table.x.tolist() == [1, 1, 3]


def test_a_name_means_several_columns_only_if_an_array_has_it(tmp_path):
    np.savez(tmp_path / "a.npz", Y=np.ones((3, 2)), z=np.arange(3), Z_0=np.arange(3))
    table = read_table(tmp_path / "a.npz")
    assert take_columns(table, ["Y", "z", "Y_1"]) == ["Y_0", "Y_1", "z"]
    with pytest.raises(ValueError, match="no column 'Z' in the table; did you mean Z_0"):
        take_columns(table, ["Z"])
    with pytest.raises(ValueError, match="no column 'y' in the table; did you mean y_1, y_2"):
        take_columns(pd.DataFrame(columns=["y_1", "y_2", "x"]), ["y"])


def test_arrays_whose_columns_have_the_same_names_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", Y=np.ones((3, 2)), Y_1=np.arange(3))
    with pytest.raises(ValueError, match="several columns are named 'Y_1'"):
        read_table(tmp_path / "a.npz")


def test_missing_and_unknown_files_are_named():
    with pytest.raises(FileNotFoundError, match=r"no such file: nothing\.csv"):
        read_table(Path("nothing.csv"))
    with pytest.raises(ValueError, match=r"table.xlsx: unknown format; use one of .csv, .tsv, .parquet, .npz"):
        read_table(Path("table.xlsx"))


def test_a_column_has_one_type_however_long_the_file_is(write):
    """Pandas reads pieces of 256 KiB; in some of them all codes are digits."""
    rows = [*["01,1.5"] * 60_000, *["A,2.5"] * 10]
    table = read_table(write("\n".join(["code,x", *rows])))
    assert set(table.code) == {"01", "A"}


@pytest.mark.parametrize(
    "form",
    [CsvFormat(), CsvFormat(sep=";"), CsvFormat(sep=";", decimal=","), CsvFormat(encoding="utf-16"), CsvFormat("\t")],
)
def test_leading_zeros_make_codes(write, form):
    content = "n;zip;x;time\n1;01;0.5;10\n2;1;0.05;20\n".replace(";", form.sep or ",")
    table = read_table(write(content, encoding=form.encoding), csv_format=form)
    assert table.zip.tolist() == ["01", "1"]
    assert table.n.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("values", "form", "expected"),
    [
        ("82,2 ? -1,5", CsvFormat(sep=";", decimal=","), [82.2, np.nan, -1.5]),
        ("4,306 - 12", CsvFormat(sep=";", thousands=","), [4306, np.nan, 12]),
        ("4.306,5 - 12", CsvFormat(sep=";", decimal=",", thousands="."), [4306.5, np.nan, 12]),
        ("True ? false", CsvFormat(sep=";"), [1, np.nan, 0]),
    ],
)
def test_marks_of_missing_values_stand_beside_any_format(write, values, form, expected):
    lines = [f"{k};{value}" for k, value in enumerate(values.split())]
    table = read_table(write("\n".join(["k;x", *lines])), csv_format=form)
    np.testing.assert_array_equal(as_numbers(table.x, "x", form), expected)


@pytest.mark.parametrize("values", ["999 1.234 4.306", "1.234.567 12 1"])
def test_dots_between_thousands_are_not_decimal_points(write, values):
    content = "\n".join(["k;x", *(f"{k};{value}" for k, value in enumerate(values.split()))])
    table = read_table(write(content), csv_format=CsvFormat(sep=";", decimal=","))
    with pytest.raises(ValueError, match=r"use --decimal ',' --thousands '\.'$"):
        as_numbers(table.x, "x", CsvFormat(sep=";", decimal=","))


@pytest.mark.parametrize(
    ("content", "rows", "named"),
    [
        ("5.1,3.5\n4.9,3.0\n", 2, False),
        ("2001,2002,2003\n1,2,3\n", 1, True),
        ("0,1\n1,2\n", 1, True),
        ("5,6\n7,1\n", 2, False),
        ("a,b\n1,2\n", 1, True),
    ],
)
def test_a_header_may_be_missing(write, content, rows, named):
    said = []
    table = read_table(write(content), said.append, needs_header=False)
    assert (len(table), has_header(table)) == (rows, named)
    expected = [] if "a" in content else ["is read as a header" if named else "has no header"]
    assert len(said) == len(expected)
    assert all(part in text for part, text in zip(expected, said, strict=True))


def test_rows_are_numbered_from_0_and_a_named_index_is_a_column(tmp_path):
    frame = pd.DataFrame({"x": [1.0, 2.0]}, index=[100, 101])
    frame.to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").index.tolist() == [0, 1]
    frame.rename_axis("year").to_parquet(tmp_path / "b.parquet")
    assert list(read_table(tmp_path / "b.parquet")) == ["year", "x"]


def test_arrays_of_most_rows_are_the_columns(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.ones((20, 2)), y=np.arange(20), loss=np.arange(100))
    assert list(read_table(tmp_path / "a.npz")) == ["X_0", "X_1", "y"]
