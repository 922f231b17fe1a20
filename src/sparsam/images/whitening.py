"""Whiten natural images: flatten their 1/f amplitude spectrum, and remove the highest frequencies."""

from typing import Any, overload

import numpy as np
import numpy.typing as npt

from sparsam.images.stacks import Image, Images, as_image_list, floating_dtype, image_names, stack_to_list

CUTOFF = 0.4
"""Frequency, in cycles per pixel, at which the low-pass factor of the filter has fallen to 1/e."""

WRAPPED = 2
"""Width in pixels of the rim that is wrong because the FFT treats the opposite rim as its neighbor."""


def whitening_filter(height: int, width: int) -> npt.NDArray[np.float64]:
    """Compute the gain of the whitening filter, f exp(-(f/0.4)^4), at the frequencies of :func:`numpy.fft.rfft2`.

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
    r"""Whiten images like Olshausen & Field (1996), whose images are the CS294A notes' data.

    The amplitude of natural images falls as 1/f with the spatial frequency f, so that neighboring pixels are
    strongly correlated. Each image is centered, its spectrum is multiplied by

    .. math:: f \, \exp(-(f / 0.4)^4), \qquad f \text{ in cycles per pixel},

    and the result is scaled to unit variance. The factor f flattens the spectrum; the exponential removes the
    highest frequencies, which are mostly noise, and the corners of the square frequency grid, which would favor
    the diagonals. In the result edges remain, and shading disappears.

    The FFT treats the left rim of an image as the neighbor of its right rim, and the top as that of the bottom. This
    makes the outermost 2 pixels wrong (in a photograph by 1.5 standard deviations; by 0.3 at the third pixel, and
    less farther in): leave them out with ``sample_patches(..., border=2)``.

    Parameters
    ----------
    images : ndarray, iterable of array-likes, or mapping of names to them
        Gray images (height, width) or color images (height, width, 3) of any sizes, or one array with a stack of them
        (for its shapes see :func:`~.stacks.stack_to_list`). The keys of a mapping name the images in errors. The
        channels of a color image are filtered separately, and scaled by one common factor.

    Returns
    -------
    whitened : ndarray or list of ndarrays
        An array for an array, a list for everything else, with the same shapes. Each image (each channel of a color
        image) has mean 0, and each image variance 1: scaling an image does not change the result. Floating types are
        kept, others become float64; the arithmetic is float64.

    Raises
    ------
    ValueError
        If an image is constant (it has no variance to scale), contains NaN or infinity, or has a wrong shape or type.

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
    """Filter one image in float64; errors name it `name`."""
    image = image.astype(np.float64)
    if not np.isfinite(image).all():
        raise ValueError(f"{name} contains NaN or infinity")
    if (image == image[0, 0]).all():
        raise ValueError(f"{name} is constant: it has no variance to scale to 1; leave it out of the images")
    # Scale by a power of two, which is exact, so that squares neither over- nor underflow.
    image = np.ldexp(image, -np.frexp(np.abs(image).max())[1])
    image -= image.mean(axis=(0, 1))  # the filter removes the mean too, but less precisely
    height, width = image.shape[:2]
    gain = whitening_filter(height, width).reshape(height, -1, *[1] * (image.ndim - 2))
    spectrum = gain * np.fft.rfft2(image, axes=(0, 1))
    filtered = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
    whitened: npt.NDArray[np.float64] = filtered / filtered.std()
    return whitened
