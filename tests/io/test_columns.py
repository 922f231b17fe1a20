"""The kind of a column depends on its content, not on its storage type."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from sparsam.io.columns import as_numbers, class_labels, describe_columns, numeric_targets, typed_columns

NUMBERS = [3.0, np.nan, 1.0, 2.0]
STORED_NUMBERS = {
    "floats": pd.Series(NUMBERS),
    "float32": pd.Series(NUMBERS, dtype="float32"),
    "nullable integers": pd.Series([3, None, 1, 2], dtype="Int64"),
    "text with a mark": pd.Series(["3", "?", "1", "2.0"]),
    "nullable text": pd.Series(["3", pd.NA, "1", "2"], dtype="string"),
    "objects": pd.Series([3, None, 1.0, 2], dtype=object),
    "decimals": pd.Series([Decimal(3), None, Decimal(1), Decimal(2)], dtype=object),
    "text and numbers": pd.Series(["3", None, 1.0, 2], dtype=object),
}
STORED_CATEGORIES = {
    "objects": pd.Series(["a", None, "1", "a"], dtype=object),
    "nullable text": pd.Series(["a", pd.NA, "1", "a"], dtype="string"),
    "str": pd.Series(["a", np.nan, "1", "a"], dtype="str"),
    "category": pd.Series(["a", None, "1", "a"], dtype=pd.CategoricalDtype(["unused", "a", "1"])),
    "text and numbers": pd.Series(["a", None, 1.0, "a"], dtype=object),
    "bytes": pd.Series([b"a", None, b"1", b"a"], dtype=object),
}


@pytest.mark.parametrize("stored", STORED_NUMBERS)
def test_numbers_are_the_same_however_they_are_stored(stored):
    typed, dropped = typed_columns(pd.DataFrame({"x": STORED_NUMBERS[stored]}))
    np.testing.assert_array_equal(typed.x, NUMBERS)
    assert typed.x.dtype == np.float64
    assert not dropped


@pytest.mark.parametrize("values", [[True, None, False], [1, None, 0]])
def test_truth_values_are_numbers_with_and_without_gaps(values):
    typed, _ = typed_columns(pd.DataFrame({"x": pd.Series(values, dtype=object)}))
    np.testing.assert_array_equal(typed.x, [1, np.nan, 0])


@pytest.mark.parametrize("stored", STORED_CATEGORIES)
def test_categories_are_the_same_however_they_are_stored(stored):
    typed, dropped = typed_columns(pd.DataFrame({"x": STORED_CATEGORIES[stored]}))
    assert typed.x.dropna().tolist() == ["a", "1", "a"]
    assert typed.x.isna().tolist() == [False, True, False, False]
    assert typed.x.dtype == object
    assert not dropped


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, np.inf, 2.0], r"the column 'x' holds infinity, first in row 1 \(the first row is 0\)"),
        ([[1, 2], [3], None], "the column 'x' holds lists or arrays, first in row 0: .*--ignore x"),
        ([None, np.zeros(2), None], "the column 'x' holds lists or arrays, first in row 1"),
        (["1,234", "12", "1,000,000.5"], "column 'x' seems .* another format; .* as '1,234': use --thousands ','$"),
        (["12.5", "1'234", "1'000"], 'use --thousands "\'"$'),
        (["3,14", "2", "-0,5"], "as '3,14': use --decimal ','$"),
        (["0,126", "-1,260"], "use --decimal ','$"),
        (["1,126", "-1,260"], "use --decimal ',' or --thousands ','$"),
        (["1.234,5", "12"], "use --decimal ',' --thousands '.'$"),
        (["1 234,5", "12"], "use --decimal ',' --thousands ' '$"),
        (["?", "82,2", "-"], "as '82,2': use --decimal ','$"),
        ([*["1,234.5"] * 30, "n.v."], "use --thousands ','$"),
    ],
)
def test_columns_that_cannot_be_taken_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        typed_columns(pd.DataFrame({"x": pd.Series(values, dtype=object)}).assign(other=1))


def test_dates_and_empty_columns_are_dropped_by_name():
    day = datetime.date(2020, 1, 1)
    table = pd.DataFrame(
        {"x": [1, 2], "at": pd.to_datetime(["2020", "2021"]), "day": [day, day], "none": [None, None]}
    ).assign(took=pd.to_timedelta([1, 2]), text=["2020-01-31 12:00", "31.1.2020"], us=["1/2/2020", None])
    typed, dropped = typed_columns(table)
    assert list(typed) == ["x"]
    assert {column.name: column.remark.split(";")[0] for column in dropped} == {
        "at": "dates or times",
        "day": "dates or times",
        "took": "dates or times",
        "text": "dates or times",
        "us": "dates or times",
        "none": "without any value",
    }


def test_decisions_are_a_line_a_column():
    n = 120
    table = pd.DataFrame(
        {
            "id": np.random.default_rng(0).permutation(np.arange(1000, 1000 + n)),
            "age": [30.0, np.nan] * (n // 2),
            "same": 1.0,
            "word": "a",
            "name": [f"n{k}" for k in range(n)],
            "mostly": [*map(str, range(n - 2)), "12 kg", "?"],
            "color": ["red", "green", None] * (n // 3),
            "answered": ["yes", None] * (n // 2),
            "many": list("abcdefgh") * (n // 8),
        }
    )
    typed, _ = typed_columns(table)
    assert [str(column) for column in describe_columns(typed)] == [
        "id: numeric; a different integer in each row: if it identifies rows, use --ignore id",
        "age: dropped; constant, 30",
        "same: dropped; constant, 1",
        "word: dropped; constant, 'a'",
        "name: dropped; 120 different texts in 120 rows, such as 'n0': names, or free text",
        "mostly: dropped; text, although 98% of its values are numbers: correct '12 kg' in row 118, or leave it empty",
        "color: categorical; green, red; 40 missing, kept as a category",
        "answered: categorical; yes; 60 missing, kept as a category",
        "many: categorical; a, b, c, d, e and 3 more",
    ]


def test_a_log_normal_column_has_a_remark():
    rng = np.random.default_rng(0)
    price, age, loss = np.exp(1.5 * rng.normal(size=200)), rng.uniform(20, 80, 200), rng.normal(size=200)
    table = pd.DataFrame({"price": price, "age": age, "waiting": rng.exponential(size=200), "loss": np.exp(loss) - 2})
    assert [str(column) for column in describe_columns(table)] == [
        "price: numeric; strongly skewed: its logarithm may predict better",
        "age: numeric",
        "waiting: numeric",
        "loss: numeric",
    ]


def test_text_in_the_place_of_a_number_is_named_with_its_row():
    with pytest.raises(ValueError, match=r"the column 'x' holds 'tall', which is not a number, first in row 7 "):
        as_numbers(pd.Series(["1", "?", "tall"], index=[5, 6, 7]), "x")


def test_targets_in_another_format_are_named_too():
    with pytest.raises(ValueError, match=r"the column 'y' seems to hold numbers in .* '1,5': use --decimal ','$"):
        numeric_targets(pd.DataFrame({"y": ["1,5", "2,5"]}), ["y"])


def test_a_counter_of_rows_is_dropped_if_it_has_no_name():
    counter = np.delete(np.arange(10), 4)  # without one row
    typed, dropped = typed_columns(pd.DataFrame({"Unnamed: 0": counter, "Unnamed: 3": counter[::-1], "id": counter}))
    assert list(typed) == ["Unnamed: 3", "id"]
    assert [str(column) for column in dropped] == ["Unnamed: 0: dropped; a row counter without a name"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 0, 1], [1, 0, 1]),
        ([1.0, np.nan, 0.0], [1, None, 0]),
        ([True, None, False], [True, None, False]),
        (["yes", "?", "no"], ["yes", None, "no"]),
        (["01", "1", None], ["01", "1", None]),
        ([b"a", b"b", None], ["a", "b", None]),
        ([Decimal(1), Decimal(2), None], [1, 2, None]),
        (pd.Categorical(["b", None, "a"], categories=["a", "b", "c"]), ["b", None, "a"]),
        (pd.to_datetime(["2020-01-01", None, "2021-01-01"]), ["2020-01-01 00:00:00", None, "2021-01-01 00:00:00"]),
    ],
)
def test_labels_are_the_same_however_they_are_stored(values, expected):
    found = class_labels(pd.Series(values), "label")
    assert [None if pd.isna(label) else label for label in found] == expected
    assert [type(label) for label in found.dropna()] == [type(label) for label in expected if label is not None]


def test_labels_that_are_none_are_named():
    with pytest.raises(ValueError, match=r"the label 'y' holds fractional numbers, such as 0\.5: .* regress"):
        class_labels(pd.Series([1.0, 0.5]), "y")
    with pytest.raises(ValueError, match="the column 'y' holds lists or arrays, first in row 0"):
        class_labels(pd.Series([[1], [2]]), "y")


def test_columns_without_a_value_in_the_training_are_dropped():
    """All values of such a column are in the rows held out for scoring."""
    typed, _ = typed_columns(pd.DataFrame({"x": [np.nan, np.nan, 1.0], "word": [None, None, "a"]}))
    assert [str(column) for column in describe_columns(typed.iloc[:2])] == [
        "x: dropped; without any value",
        "word: dropped; without any value",
    ]
