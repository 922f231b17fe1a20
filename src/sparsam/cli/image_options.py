"""Options of the commands that cut patches from images (``learn``, ``sweep``), and loading the images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli.console import say
from sparsam.cli.panels import DATA

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sparsam.estimators._progress.progress_display import ProgressDisplay

Images = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Pictures (PNG, JPEG, TIFF, GIF, BMP, WebP), stacks of them (.npy, .npz, .mat, MNIST's idx) or folders, "
        "with their subfolders; without any, nine photographs that come with the installation.",
        show_default=False,
    ),
]
NPatches = Annotated[int, typer.Option(help="Number of patches cut from the images.", min=1, rich_help_panel=DATA)]
PatchSize = Annotated[int, typer.Option(help="Height and width of a patch in pixels.", min=1, rich_help_panel=DATA)]
Border = Annotated[
    int | None,
    typer.Option(
        help="Pixels at the images' rim that no patch touches.",
        min=0,
        show_default="2, where whitening wraps around; 0 for the built-in images, already cropped",
        rich_help_panel=DATA,
    ),
]
Whiten = Annotated[
    bool | None,
    typer.Option(
        "--whiten/--no-whiten",
        help="Whiten the images before cutting patches.",
        show_default="where no pixel is negative: raw intensities",
        rich_help_panel=DATA,
    ),
]
Color = Annotated[
    bool,
    typer.Option("--color/--gray", help="Learn from red, green and blue, or from the luminance.", rich_help_panel=DATA),
]


ARRAYS = (".npy", ".npz", ".mat")
BUILT_IN = "built in"  # for metrics, in the place of paths


def load(
    paths: list[Path] | None,
    whiten: bool | None,
    border: int | None,
    patch_size: int,
    display: ProgressDisplay | None = None,
    *,
    color: bool = False,
) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
    """Load the images, whitened where wanted, and say where they come from and what rim their patches keep clear.

    Returns
    -------
    images : dict
        By the names that messages call them.
    origin : dict
        How to load them again, for metrics.json.

    Raises
    ------
    ValueError
        If an image cannot be read, or no patch fits into one: before any is whitened.
    """
    from sparsam import images
    from sparsam.estimators._progress.progress_display import ProgressDisplay
    from sparsam.images.loading import load_named_images

    if not paths:
        if whiten is False:
            raise ValueError("--no-whiten: the built-in images come whitened; name images of your own")
        if color:
            raise ValueError("--color: the built-in images come in gray; name pictures of your own")
        loaded = {f"built-in image {k}": image for k, image in enumerate(images.natural_images())}
        origin = {"images": BUILT_IN, "n_images": len(loaded), "n_whitened": 0, "whiten": None, "color": False}
        _check_patch_size(loaded, patch_size, border or 0)
        return loaded, origin | {"border": border or 0}
    display = display or ProgressDisplay()
    border = 2 if border is None else border
    loaded = load_named_images(
        paths, as_gray=not color, tell=lambda done, of: display.count("files read", done, of), warn=say
    )
    say(_described(paths, loaded))
    _check_patch_size(loaded, patch_size, border)
    # Intensities are not negative; images whitened already, as the notes' IMAGES, have mean zero.
    raw = [name for name, image in loaded.items() if (image.min() >= 0 if whiten is None else whiten)]
    if whiten is None:
        others = (
            "" if len(raw) == len(loaded) else "; the others have negative pixels and are taken as whitened already"
        )
        say(f"Whitening {len(raw)} of {len(loaded)} images{others} (--whiten, --no-whiten decide otherwise)")
    for done, name in enumerate(raw, start=1):
        loaded[name] = images.whiten({name: loaded[name]})[0]
        display.count("images whitened", done, len(raw))
    return loaded, {
        "images": [str(path.absolute()) for path in paths],
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
                f"{border}: choose a smaller one, or leave the image out"
            )


def _described(paths: list[Path], loaded: dict[str, NDArray[np.float64]]) -> str:
    """Say what was understood: how many images of what size."""
    sizes = sorted({(image.shape[0], image.shape[1]) for image in loaded.values()})
    size = " to ".join(f"{height} x {width}" for height, width in (sizes[0], sizes[-1])[: min(len(sizes), 2)])
    kind = "image" if len(loaded) == 1 else "images"
    array = len(loaded) == 1 and paths[0].suffix.lower() in ARRAYS
    return f"{len(loaded)} {kind} of {size} pixels" + ("; if its rows are samples, give --rows" if array else "")


def shape_of(text: str) -> tuple[int, ...]:
    """Read --image-shape: of a row that is a picture, gray or in color."""
    try:
        shape = tuple(int(part) for part in text.split(","))
    except ValueError:
        shape = ()
    if not (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) or min(shape) < 1:
        raise ValueError(
            f"--image-shape {text}: expected HEIGHT,WIDTH such as 28,28, or HEIGHT,WIDTH,3 for red, green and blue"
        )
    return shape
