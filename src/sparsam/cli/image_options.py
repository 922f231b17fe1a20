"""Options of the commands that cut patches from images (``learn``, ``sweep``), and the loading of these images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sparsam.cli import table_options
from sparsam.cli.console import say
from sparsam.cli.panels import DATA

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sparsam.estimators._progress.progress_display import ProgressDisplay

Images = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Images (PNG, JPEG, TIFF, GIF, BMP, WebP), stacks of images (.npy, .npz, .mat, MNIST's idx), or folders, "
        "searched with their subfolders. Default: nine built-in photographs.",
        show_default=False,
    ),
]
NPatches = Annotated[int, typer.Option(help="Number of patches to cut from the images.", min=1, rich_help_panel=DATA)]
PatchSize = Annotated[int, typer.Option(help="Height and width of a patch in pixels.", min=1, rich_help_panel=DATA)]
Border = Annotated[
    int | None,
    typer.Option(
        help="Width of the margin of each image, in pixels, that patches avoid.",
        min=0,
        show_default="2 where whitening wraps around; 0 with --no-whiten, and for the built-in images, already cropped",
        rich_help_panel=DATA,
    ),
]
Whiten = Annotated[
    bool | None,
    typer.Option(
        "--whiten/--no-whiten",
        help="Whiten the images before cutting patches.",
        show_default="only images without negative pixels: raw intensities; none with --whitening",
        rich_help_panel=DATA,
    ),
]
Color = Annotated[
    bool,
    typer.Option(
        "--color/--gray", help="Use the colors red, green and blue, or only the luminance.", rich_help_panel=DATA
    ),
]


WhiteningKind = Annotated[
    Literal["none", "zca", "pca"],
    typer.Option(
        "--whitening",
        help="Whiten the patches, not the images, by their own covariance, instead of normalizing them to [0.1, 0.9]; "
        "needs --output-activation identity.",
        rich_help_panel=DATA,
    ),
]
WhiteningEpsilon = Annotated[
    float,
    typer.Option(
        help="Added to the variance along each axis by --whitening, for intensities in [0, 1].",
        min=0.0,
        rich_help_panel=DATA,
    ),
]


ARRAYS = (".npy", ".npz", ".mat")
BUILT_IN = "built in"  # recorded in the metrics instead of paths


def load(
    paths: list[Path] | None,
    whiten: bool | None,
    border: int | None,
    patch_size: int,
    display: ProgressDisplay | None = None,
    *,
    color: bool = False,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    """Load the images, and whiten them if requested.

    Returns
    -------
    images : dict
        The images, by their names in messages.
    origin : dict
        The settings to load them again, and the border, for metrics.json.

    Raises
    ------
    ValueError
        If an image cannot be read, or is too small for a patch. This is checked before whitening.
    """
    for path in paths or []:
        if path.suffix.lower() in table_options.TABLES:
            raise ValueError(f"{path} is a table, not an image: add --rows to learn from its rows")
    from sparsam import images
    from sparsam.estimators._progress.progress_display import ProgressDisplay
    from sparsam.images.loading import load_named_images

    if not paths and not color and whiten is not False:
        loaded = {f"built-in image {k}": image for k, image in enumerate(images.natural_images())}
        origin = {"images": BUILT_IN, "n_images": len(loaded), "n_whitened": 0, "whiten": None, "color": False}
        _check_patch_size(loaded, patch_size, border or 0)
        return loaded, origin | {"border": border or 0}
    display = display or ProgressDisplay()
    if border is None:
        border = 0 if whiten is False else 2
    if paths:
        loaded = load_named_images(
            paths, as_gray=not color, tell=lambda done, of: display.count("files read", done, of), warn=say
        )
    else:
        photographs = images.natural_photographs(color=color)
        loaded = {f"built-in image {k}": image for k, image in enumerate(photographs)}
    say(_describe_images(paths or [], loaded))
    _check_patch_size(loaded, patch_size, border)
    # Raw intensities are not negative; images that are whitened already, like the notes' IMAGES, have mean zero.
    raw = [name for name, image in loaded.items() if (image.min() >= 0 if whiten is None else whiten)]
    if whiten is None:
        others = "" if len(raw) == len(loaded) else "; the others have negative pixels, so they are whitened already"
        say(f"Whitening {len(raw)} of {len(loaded)} images{others} (to change this: --whiten or --no-whiten)")
    for done, name in enumerate(raw, start=1):
        loaded[name] = images.whiten({name: loaded[name]})[0]
        display.count("images whitened", done, len(raw))
    return loaded, {
        "images": [str(path.absolute()) for path in paths] if paths else BUILT_IN,
        "n_images": len(loaded),
        "n_whitened": len(raw),
        "whiten": whiten,
        "color": color,
        "border": border,
    }


def _check_patch_size(images: dict[str, NDArray[np.float64]], patch_size: int, border: int) -> None:
    for name, image in images.items():
        height, width = image.shape[:2]
        if min(height, width) - 2 * border < patch_size:
            raise ValueError(
                f"--patch-size {patch_size} does not fit into {name} of {height} x {width} pixels with a border of "
                f"{border}: use a smaller patch size, or leave out the image"
            )


def _describe_images(paths: list[Path], loaded: dict[str, NDArray[np.float64]]) -> str:
    """Describe the number and size of the images."""
    sizes = sorted({(image.shape[0], image.shape[1]) for image in loaded.values()})
    size = " to ".join(f"{height} x {width}" for height, width in (sizes[0], sizes[-1])[: min(len(sizes), 2)])
    kind = "image" if len(loaded) == 1 else "images"
    array = len(loaded) == 1 and len(paths) == 1 and paths[0].suffix.lower() in ARRAYS
    return f"{len(loaded)} {kind} of {size} pixels" + ("; if its rows are samples, use --rows" if array else "")


def shape_of(text: str) -> tuple[int, ...]:
    """Parse --image-shape, the shape of a row that is an image, gray or in color."""
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) or min(shape) < 1:
        raise ValueError(
            f"--image-shape {text}: expected HEIGHT,WIDTH such as 28,28, or HEIGHT,WIDTH,3 for red, green and blue"
        )
    return shape
