"""Patches: small windows of images, each a row of the data matrix."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from sparsam.images.stacks import Image, Images, as_image_list, floating_dtype, image_names

BLOCK = 1024
"""Patches gathered at a time, which limits the temporary copy (half a megabyte for 8 x 8 in float64)."""


def sample_patches(
    images: Images,
    n_patches: int = 10_000,
    patch_size: int | tuple[int, int] = 8,
    random_state: int | np.random.RandomState | None = None,
    *,
    border: int = 0,
) -> npt.NDArray[Any]:
    """Cut patches out of images at random.

    For each patch an image is drawn uniformly (large images are not drawn more often), then a position of the patch,
    uniformly among all positions within the image, including the last row and the last column.

    Parameters
    ----------
    images : ndarray, iterable of array-likes, or mapping of names to them
        Gray images (height, width), or color images (height, width, 3), of any sizes; or one array with a stack of
        them (for its shapes see :func:`~.stacks.stack_to_list`). The keys of a mapping name the images in errors.
    n_patches : int, default=10_000
        Number of patches; the CS294A notes use 10,000.
    patch_size : int or pair of ints, default=8
        Height and width in pixels; one number means a square. The notes use 8.
    random_state : int, RandomState instance or None, default=None
        An int gives the same patches, bit for bit, at every call.
    border : int, default=0
        Pixels to leave out on all four sides. Whitened images need 2, because the FFT mixes opposite rims there;
        :func:`natural_images` needs none, because these pixels are cut off already.

    Returns
    -------
    patches : ndarray of shape (n_patches, height * width), or (n_patches, height * width * 3) for color
        One patch per row; ``patches[i].reshape(height, width)`` or ``(height, width, 3)`` restores its shape. The type
        is the images' floating type (the widest if they differ), or float64 for integers. Values are not scaled; see
        :func:`normalize_patches`.

    Raises
    ------
    ValueError
        If a patch does not fit into an image, gray and color images are mixed, an image contains NaN or infinity
        (inside the border), or a number is out of range.
    TypeError
        If a number is not an integer.

    Notes
    -----
    Source: A. Ng, CS294A lecture notes "Sparse autoencoder", exercise, step 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam.images import sample_patches
    >>> images = [np.random.default_rng(0).normal(size=(64, 48)), np.ones((20, 30))]
    >>> sample_patches(images, n_patches=1000, patch_size=(8, 6), random_state=0, border=2).shape
    (1000, 48)
    """
    from sklearn.utils import check_random_state, check_scalar

    check_scalar(n_patches, "n_patches", Integral, min_val=1)
    check_scalar(border, "border", Integral, min_val=0)
    sides = patch_size if isinstance(patch_size, Sequence) else (patch_size, patch_size)
    if len(sides) != 2:
        raise ValueError(f"patch_size must be one integer or two (height, width), got {patch_size!r}")
    height, width = (check_scalar(side, "patch_size", Integral, min_val=1) for side in sides)

    pictures = as_image_list(images)
    n_positions = _count_positions(pictures, image_names(images, len(pictures)), height, width, border)
    dtype = np.result_type(*{floating_dtype(picture) for picture in pictures})

    rng = check_random_state(random_state)
    which = rng.randint(len(pictures), size=n_patches, dtype=np.int64)  # int64: the same on every platform
    rows = border + rng.randint(n_positions[which, 0], dtype=np.int64)
    columns = border + rng.randint(n_positions[which, 1], dtype=np.int64)

    patches = np.empty((n_patches, height, width, *pictures[0].shape[2:]), dtype)
    by_image = np.argsort(which, kind="stable")
    for group in np.split(by_image, np.flatnonzero(np.diff(which[by_image])) + 1):
        # Copy the image in row order, since a view into a stack may stride over all other images.
        picture = np.ascontiguousarray(pictures[which[group[0]]])
        windows = np.lib.stride_tricks.sliding_window_view(picture, (height, width), axis=(0, 1))
        if picture.ndim == 3:
            windows = np.moveaxis(windows, 2, -1)
        for start in range(0, len(group), BLOCK):
            block = group[start : start + BLOCK]
            patches[block] = windows[rows[block], columns[block]]
    return patches.reshape(n_patches, -1)


def tile_patches(
    image: npt.ArrayLike, patch_size: int | tuple[int, int] = 8, *, border: int = 0
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Cut an image into patches side by side, from left to right and from top to bottom.

    Pixels on the right and at the bottom that do not fill a patch are left out.

    Parameters
    ----------
    image : array-like of shape (height, width) or (height, width, 3)
    patch_size : int or pair of ints, default=8
        Height and width in pixels; one number means a square.
    border : int, default=0
        Pixels to leave out on all four sides.

    Returns
    -------
    patches : ndarray of shape (n_patches, n_pixels)
        One patch per row, as in :func:`sample_patches`.
    positions : ndarray of shape (n_patches, 2)
        Row and column of each patch's upper left pixel in the image.

    Raises
    ------
    ValueError
        If no patch fits.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam.images import tile_patches
    >>> patches, positions = tile_patches(np.zeros((20, 30)), 8, border=1)
    >>> patches.shape, positions.tolist()
    ((6, 64), [[1, 1], [1, 9], [1, 17], [9, 1], [9, 9], [9, 17]])
    """
    picture = np.asarray(image)
    height, width = patch_size if isinstance(patch_size, Sequence) else (patch_size, patch_size)
    rows = np.arange(border, picture.shape[0] - border - height + 1, height)
    columns = np.arange(border, picture.shape[1] - border - width + 1, width)
    if not (rows.size and columns.size):
        raise ValueError(
            f"no patch of {height} x {width} fits into an image of {picture.shape[0]} x {picture.shape[1]} with a "
            f"border of {border}"
        )
    inside = picture[border : rows[-1] + height, border : columns[-1] + width]
    blocks = inside.reshape(len(rows), height, len(columns), width, -1).swapaxes(1, 2)
    positions = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)
    return blocks.reshape(len(positions), -1), positions


def _count_positions(
    pictures: list[Image], names: list[str], height: int, width: int, border: int
) -> npt.NDArray[np.int64]:
    """Count the rows and columns at which a patch can start in each image; raise ValueError if there are none."""
    n_positions = np.empty((len(pictures), 2), np.int64)
    for index, (name, picture) in enumerate(zip(names, pictures, strict=True)):
        rows, columns = picture.shape[:2]
        if picture.ndim != pictures[0].ndim:
            raise ValueError(
                f"gray and color images are mixed: {names[0]} has the shape {pictures[0].shape}, "
                f"{name} {picture.shape}; load them all with as_gray=True, or all with as_gray=False"
            )
        n_positions[index] = rows - 2 * border - height + 1, columns - 2 * border - width + 1
        if n_positions[index].min() < 1:
            raise ValueError(
                f"a patch of {height} x {width} does not fit into {name} of {rows} x {columns} with "
                f"a border of {border}; use a smaller patch_size or border, or leave the image out"
            )
        if not np.isfinite(picture[border : rows - border, border : columns - border]).all():
            raise ValueError(f"{name} contains NaN or infinity; fill or cut out those pixels first")
    return n_positions


def normalize_patches(patches: npt.ArrayLike) -> npt.NDArray[Any]:
    r"""Scale patches into [0.1, 0.9], the range of a logistic output, as the CS294A notes do.

    First each patch's own mean is subtracted. With :math:`p_{std} = 3 \sigma`, three standard deviations of ALL
    the resulting values, values are clipped to :math:`\pm p_{std}`, and

    .. math:: p \leftarrow 0.4 \, (p / p_{std} + 1) + 0.1 .

    A logistic unit reaches 0 and 1 at infinite pre-activations only, hence the distance of 0.1; nearly all values
    are within three standard deviations.

    Parameters
    ----------
    patches : array-like of shape (n_patches, n_pixels)
        One patch per row, in any units: multiplying all of them by a constant does not change the result.

    Returns
    -------
    normalized : ndarray of shape (n_patches, n_pixels)
        In [0.1, 0.9]; 0.5 is a patch's mean. If every patch is constant, all values are 0.5. float32 stays float32,
        float16 becomes float32, and integers become float64. `patches` itself is not changed.

    Raises
    ------
    ValueError
        If `patches` is not 2-D, is empty, is not real, or has a row with NaN or infinity, which is named.

    Notes
    -----
    Source: A. Ng, CS294A lecture notes "Sparse autoencoder", exercise, step 1 (`normalizeData`).

    Examples
    --------
    >>> from sparsam.images import normalize_patches
    >>> normalize_patches([[0.0, 1.0, 2.0], [7.0, 7.0, 7.0]]).round(3)
    array([[0.269, 0.5  , 0.731],
           [0.5  , 0.5  , 0.5  ]])
    """
    p, _ = patch_deviations(patches)
    return scale_deviations(p, deviation_limit(p))


def patch_deviations(patches: npt.ArrayLike) -> tuple[npt.NDArray[Any], int]:
    """Subtract each patch's own mean.

    Returns
    -------
    deviations : ndarray of shape (n_patches, n_pixels)
        A new array of float32 or wider, in units of 2**exponent, so that sums and squares neither over- nor underflow.
    exponent : int

    Raises
    ------
    ValueError
        As in `normalize_patches`.
    """
    given = np.asarray(patches)
    if given.ndim != 2 or given.size == 0 or given.dtype.kind not in "buif":
        raise ValueError(
            f"patches must be real numbers of shape (n_patches, n_pixels), got {given.dtype} of shape {given.shape}"
        )
    finite = np.isfinite(given).all(axis=1)
    if not finite.all():
        raise ValueError(f"patches[{np.argmin(finite)}] contains NaN or infinity")

    p = given.astype(np.result_type(floating_dtype(given), np.float32))
    exponent = int(np.frexp(np.abs(p).max())[1])
    np.ldexp(p, -exponent, out=p)  # exact
    p -= p[:, :1].copy()  # makes a constant patch exactly 0; subtracting its rounded mean would not
    p -= p.mean(axis=1, keepdims=True)
    return p, exponent


def deviation_limit(deviations: npt.NDArray[Any]) -> float:
    """Compute the clipping limit: three standard deviations of all deviations from patch means."""
    return float(3 * deviations.std())


def scale_deviations(deviations: npt.NDArray[Any], limit: float) -> npt.NDArray[Any]:
    """Clip deviations from patch means to a limit, and scale them into [0.1, 0.9], in place."""
    p = deviations
    if limit == 0:
        p[...] = 0.5
        return p
    np.clip(p, -limit, limit, out=p)
    p /= limit
    p += 1
    p *= 0.4
    p += 0.1
    return p
