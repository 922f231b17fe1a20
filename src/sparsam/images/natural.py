"""Natural images from scikit-image and scikit-learn, which need no download."""

import numpy as np
import numpy.typing as npt

from sparsam.images.whitening import WRAPPED, whiten

PHOTOGRAPHS = ("camera", "astronaut", "chelsea", "coffee", "grass", "gravel", "brick")
"""Names in ``skimage.data`` of the photographs that its wheel includes."""

SAMPLES = ("china.jpg", "flower.jpg")
"""Names in ``sklearn.datasets.load_sample_image``."""


def natural_photographs(*, color: bool = False) -> list[npt.NDArray[np.float64]]:
    """Return the photographs of `natural_images` as they are, neither whitened nor cropped.

    Parameters
    ----------
    color : bool, default False
        Whether to return the five in color (astronaut, chelsea, coffee, china, flower), instead of all nine in gray.

    Returns
    -------
    images : list of ndarrays of shape (height, width), or (height, width, 3) in color, float64
        Intensities in [0, 1]. Credits: see `natural_images`.

    Examples
    --------
    >>> from sparsam.images import natural_photographs
    >>> [image.shape for image in natural_photographs(color=True)][:2]
    [(512, 512, 3), (300, 451, 3)]
    """
    from skimage.color import rgb2gray

    if color:
        return [image / 255 for image in _originals() if image.ndim == 3]
    return [rgb2gray(image) if image.ndim == 3 else image / 255 for image in _originals()]


def natural_images() -> list[npt.NDArray[np.float64]]:
    r"""Return nine whitened photographs, to replace the ten of the CS294A notes, which state no license.

    Each is converted to gray, scaled to mean 0 and variance 1, and whitened by :math:`f \exp(-(f/0.4)^4)`, f in
    cycles per pixel, back to variance 1 (see :func:`whiten`). Then its outermost 2 pixels are cut off, because the
    FFT wraps around and mixes opposite rims there. So every position in the result is valid, and
    :func:`sample_patches` needs no `border`.

    Returns
    -------
    images : list of nine ndarrays of shape (height, width), float64
        Mean about 0 and variance about 1 (exactly before the crop), in the order camera, astronaut,
        chelsea, coffee, grass, gravel, brick, china, flower. The sizes range from 296 x 447 to 508 x 508.

    Notes
    -----
    Credits. With scikit-image: camera (Lav Varshney), chelsea (Stefan van der Walt) and coffee (Rachel
    Michetti, courtesy of Pikolo Espresso Bar), CC0 by the photographers; astronaut (NASA, public domain);
    grass (linolafett, DeviantArt), gravel and brick (CC0Textures), CC0. With scikit-learn: china, by
    danielbuechele (https://www.flickr.com/photos/danielbuechele/6061409035/), and flower, by vultilion
    (https://www.flickr.com/photos/vultilion/6056698931/), both under the Creative Commons Attribution 2.0
    license (https://creativecommons.org/licenses/by/2.0/); here converted to gray, whitened and cropped.

    Examples
    --------
    >>> from sparsam.images import natural_images, sample_patches
    >>> images = natural_images()
    >>> len(images), images[0].shape
    (9, (508, 508))
    >>> sample_patches(images, n_patches=100, random_state=0).shape
    (100, 64)
    """
    from skimage.color import rgb2gray

    gray = [rgb2gray(image) if image.ndim == 3 else image for image in _originals()]
    return [image[WRAPPED:-WRAPPED, WRAPPED:-WRAPPED].copy() for image in whiten(gray)]


def _originals() -> list[npt.NDArray[np.uint8]]:
    from skimage import data
    from sklearn.datasets import load_sample_image

    return [getattr(data, name)() for name in PHOTOGRAPHS] + [load_sample_image(name) for name in SAMPLES]
