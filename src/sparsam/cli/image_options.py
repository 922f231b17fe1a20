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
        help="Pictures (PNG, JPEG, TIFF), stacks of them (.npy, .mat) or folders; without any, nine photographs "
        "that come with the installation.",
        show_default=False,
    ),
]
NPatches = Annotated[int, typer.Option(help="Number of patches cut from the images.", rich_help_panel=DATA)]
PatchSize = Annotated[int, typer.Option(help="Height and width of a patch in pixels.", rich_help_panel=DATA)]
Border = Annotated[
    int | None,
    typer.Option(
        help="Pixels at the images' rim that no patch touches.",
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


BUILT_IN = "built in"  # for metrics, in the place of paths


def load(
    paths: list[Path] | None,
    whiten: bool | None,
    border: int | None,
    display: ProgressDisplay | None = None,
    *,
    color: bool = False,
) -> tuple[list[NDArray[np.float64]], dict[str, Any]]:
    """Load the images, whitened where wanted, and say where they come from and what rim their patches keep clear."""
    import numpy as np

    from sparsam import images
    from sparsam.estimators._progress.progress_display import ProgressDisplay

    if not paths:
        if whiten is False:
            raise ValueError("--no-whiten: the built-in images come whitened; name images of your own")
        if color:
            raise ValueError("--color: the built-in images come in gray; name pictures of your own")
        loaded = images.natural_images()
        return loaded, {
            "images": BUILT_IN,
            "n_images": len(loaded),
            "n_whitened": 0,
            "whiten": None,
            "color": False,
            "border": border or 0,
        }
    display = display or ProgressDisplay()
    loaded = images.load_images(paths, as_gray=not color, tell=lambda done, of: display.count("files read", done, of))
    # Intensities are not negative; images whitened already, as the notes' IMAGES, have mean zero.
    raw = [image.min() >= 0 if whiten is None else whiten for image in loaded]
    if whiten is None:
        say(
            f"Whitening {sum(raw)} of {len(loaded)} images; the others have negative pixels and are taken as whitened "
            "already (--whiten, --no-whiten decide otherwise)"
        )
    for k in np.flatnonzero(raw):
        loaded[k] = images.whiten([loaded[k]])[0]
        display.count("images whitened", sum(raw[: k + 1]), sum(raw))
    return loaded, {
        "images": [str(path.absolute()) for path in paths],
        "n_images": len(loaded),
        "n_whitened": sum(map(int, raw)),
        "whiten": whiten,
        "color": color,
        "border": 2 if border is None else border,
    }


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


def shape_of_patches(patch_size: int, n_features: int) -> tuple[int, ...]:
    """Return the shape of square patches: gray, or in color where they have three times as many features."""
    return (patch_size, patch_size) if n_features == patch_size**2 else (patch_size, patch_size, 3)
