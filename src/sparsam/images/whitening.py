"""Whitening of natural images: flatten their 1/f amplitude spectrum, and remove the highest frequencies."""

from typing import Any, overload

import numpy as np
import numpy.typing as npt

from sparsam.images.stacks import Image, Images, as_image_list, floating_dtype, image_names, stack_to_list

CUTOFF = 0.4
"""Frequency in cycles per pixel where the low-pass half of the filter has fallen to 1/e."""

WRAPPED = 2
"""Width in pixels of the rim that is spoiled because the FFT takes the opposite rim for its neighbor."""


def whitening_filter(height: int, width: int) -> npt.NDArray[np.float64]:
    """Gain of the whitening filter, f exp(-(f/0.4)^4), at the frequencies of :func:`numpy.fft.rfft2`.

    Parameters
    ----------
    height, width : int
        Size of the image in pixels.

    Returns
    -------
    gain : ndarray of shape (height, width // 2 + 1)
        f is the radius sqrt(fx^2 + fy^2) in cycles per pixel; the gain at f = 0, the mean, is 0.

    Examples
    --------
    >>> from sparsam.images.whitening import whitening_filter
    >>> whitening_filter(4, 4).round(4)
    array([[0.    , 0.2146, 0.0435],
           [0.2146, 0.192 , 0.0123],
           [0.0435, 0.0123, 0.    ],
           [0.2146, 0.192 , 0.0123]])
    """
    f = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width))
    gain: npt.NDArray[np.float64] = f * np.exp(-((f / CUTOFF) ** 4))
    return gain


@overload
def whiten(images: npt.NDArray[Any]) -> npt.NDArray[Any]: ...
@overload
def whiten(images: Images) -> npt.NDArray[Any] | list[Image]: ...
def whiten(images: Images) -> npt.NDArray[Any] | list[Image]:
    r"""Whiten images as Olshausen & Field (1996) did, whose pictures are the CS294A notes' data.

    The amplitude of natural images falls as 1/f with the spatial frequency f, so that neighboring pixels say
    nearly the same. Each image is centered, its spectrum multiplied by

    .. math:: f \, \exp(-(f / 0.4)^4), \qquad f \text{ in cycles per pixel},

    and the result scaled to unit variance. The factor f levels the spectrum; the exponential takes away the
    highest frequencies, which hold mostly noise, and the corners of the square frequency grid, which would
    favor the diagonals. Seen in the picture: edges stay, shading goes.

    The FFT takes the left rim of an image for the neighbor of its right rim, and the top for that of the
    bottom. This spoils the outermost 2 pixels (on a photograph by 1.5 standard deviations, by 0.3 at the
    third, less and less farther in): keep them clear with ``sample_patches(..., border=2)``.

    Parameters
    ----------
    images : ndarray, iterable of array-likes, or mapping of names to them
        Gray images (height, width) or color images (height, width, 3) of any sizes, or one array that holds
        a stack of them (its shapes: :func:`~.stacks.stack_to_list`). Of a mapping the keys name the images in errors.
        Of a color image each channel is filtered for itself, and all three are scaled by one common factor.

    Returns
    -------
    whitened : ndarray or list of ndarrays
        An array for an array, a list for everything else; the shapes are kept. Each image has mean 0 (in
        color, each channel) and variance 1, whatever its units were: scaling an image does not change the
        result. Floating types are kept, others become float64; the arithmetic is float64.

    Raises
    ------
    ValueError
        If an image is constant (it has no variance to scale), holds NaN or infinity, or is no image.

    References
    ----------
    B. A. Olshausen and D. J. Field, "Emergence of simple-cell receptive field properties by learning a sparse
    code for natural images", Nature 381, 607-609, 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from sparsam.images import whiten
    >>> image = np.random.default_rng(0).normal(size=(32, 48)).cumsum(axis=0).cumsum(axis=1)
    >>> whitened = whiten([image])[0]
    >>> whitened.shape, bool(abs(whitened.mean()) < 1e-12), round(float(whitened.var()), 12)
    ((32, 48), True, 1.0)
    """
    pictures = as_image_list(images)
    names = image_names(images, len(pictures))
    whitened = [
        _whiten_one(picture, name).astype(floating_dtype(picture))
        for picture, name in zip(pictures, names, strict=True)
    ]
    if not hasattr(images, "ndim"):
        return whitened
    stack = np.empty(np.shape(images), whitened[0].dtype)  # type: ignore[arg-type]
    for view, picture in zip(stack_to_list(stack), whitened, strict=True):
        view[...] = picture
    return stack


def _whiten_one(image: Image, name: str) -> npt.NDArray[np.float64]:
    """Filter one image in float64; errors call it by `name`."""
    image = image.astype(np.float64)
    if not np.isfinite(image).all():
        raise ValueError(f"{name} contains NaN or infinity")
    if (image == image[0, 0]).all():
        raise ValueError(f"{name} is constant: it has no variance to scale to 1; leave it out of the images")
    # By a power of two, which is exact, so that no square over- or underflows.
    image = np.ldexp(image, -np.frexp(np.abs(image).max())[1])
    image -= image.mean(axis=(0, 1))  # the filter would do it too, but less exactly
    height, width = image.shape[:2]
    gain = whitening_filter(height, width).reshape(height, -1, *[1] * (image.ndim - 2))
    spectrum = gain * np.fft.rfft2(image, axes=(0, 1))
    filtered = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
    whitened: npt.NDArray[np.float64] = filtered / filtered.std()
    return whitened
