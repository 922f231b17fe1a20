import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsam.images.stacks import as_image_list, stack_axis, stack_to_list

sides = st.integers(5, 40)
depths = st.integers(1, 4)


@given(height=sides, width=sides, n=depths)
def test_the_smallest_axis_is_the_stack(height, width, n):
    assert stack_axis((height, width, n)) == 2
    assert stack_axis((n, height, width)) == 0


@given(side=st.integers(1, 40), n=st.integers(1, 40))
def test_square_images_settle_it_however_many_they_are(side, n):
    assert stack_axis((side, side, n)) == 2
    assert stack_axis((n, side, side)) == (0 if n != side else 2)


@pytest.mark.parametrize("shape", [(8, 8, 8), (100, 48, 64), (6, 4, 6), (6, 4, 5), (5, 4, 6)])
def test_the_ambiguous_case_is_the_last_axis(shape):
    assert stack_axis(shape) == 2


def test_both_layouts_give_the_same_images_without_a_copy():
    stack = np.arange(2 * 6 * 5).reshape(2, 6, 5)
    last = np.moveaxis(stack, 0, -1).copy()
    for array in (stack, last):
        images = stack_to_list(array)
        np.testing.assert_array_equal(images, stack)
        assert all(np.shares_memory(image, array) for image in images)


def test_a_list_is_never_taken_for_a_stack():
    images = [np.zeros((9, 3)) for _ in range(5)]
    assert [image.shape for image in as_image_list(images)] == [(9, 3)] * 5
    assert [image.shape for image in as_image_list(np.zeros((9, 8, 3)))] == [(9, 8)] * 3
    assert [image.shape for image in as_image_list([np.zeros((9, 8, 3))])] == [(9, 8, 3)]
    assert [image.shape for image in as_image_list(np.zeros((2, 9, 8, 3)))] == [(9, 8, 3)] * 2
    assert [image.shape for image in as_image_list(np.zeros((9, 8)))] == [(9, 8)]


def test_jax_arrays_are_stacks_too():
    jax_numpy = pytest.importorskip("jax.numpy")
    assert [image.shape for image in as_image_list(jax_numpy.zeros((7, 6, 2)))] == [(7, 6)] * 2


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "empty"),
        (np.zeros((0, 8, 8)), "empty"),
        ([np.zeros((4, 4)), np.zeros((4, 4, 4))], r"images\[1\].*\(4, 4, 4\)"),
        ([np.zeros(4)], r"images\[0\].*\(4,\)"),
        ([np.zeros((0, 4))], r"images\[0\]"),
        ([np.zeros((4, 4), complex)], "complex"),
        ([np.full((4, 4), None)], "object"),
        ("a_path.png", r"images\[0\].*shape \(\)"),
        (np.zeros(4), r"got \(4,\)"),
        (np.zeros((2, 4, 4, 4)), r"\(height, width, 3, n\), got \(2, 4, 4, 4\)"),
        ({"a.png": np.zeros((4, 4)), "b.png": np.zeros((4, 4, 4))}, r"b\.png .*\(4, 4, 4\)"),
    ],
)
def test_what_is_no_image_is_refused(images, message):
    with pytest.raises(ValueError, match=message):
        as_image_list(images)
