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


BUILT_IN = "built in"  # for metrics, in the place of paths


def load(
    paths: list[Path] | None, whiten: bool | None, border: int | None, display: ProgressDisplay | None = None
) -> tuple[list[NDArray[np.float64]] | dict[str, NDArray[np.float64]], dict[str, Any]]:
    """Load the images, whitened where wanted, and say where they come from and what rim their patches keep clear.

    Images of files come by the names that messages call them.
    """
    from sparsam import images
    from sparsam.estimators._progress.progress_display import ProgressDisplay
    from sparsam.images.loading import load_named_images

    if not paths:
        if whiten is False:
            raise ValueError("--no-whiten: the built-in images come whitened; name images of your own")
        loaded = images.natural_images()
        return loaded, {
            "images": BUILT_IN,
            "n_images": len(loaded),
            "n_whitened": 0,
            "whiten": None,
            "border": border or 0,
        }
    display = display or ProgressDisplay()
    by_name = load_named_images(
        paths, as_gray=True, tell=lambda done, of: display.count("files read", done, of), warn=say
    )
    # Intensities are not negative; images whitened already, as the notes' IMAGES, have mean zero.
    raw = [name for name, image in by_name.items() if (image.min() >= 0 if whiten is None else whiten)]
    if whiten is None:
        say(
            f"Whitening {len(raw)} of {len(by_name)} images; the others have negative pixels and are taken as whitened "
            "already (--whiten, --no-whiten decide otherwise)"
        )
    for done, name in enumerate(raw, start=1):
        by_name[name] = images.whiten({name: by_name[name]})[0]
        display.count("images whitened", done, len(raw))
    return by_name, {
        "images": [str(path.absolute()) for path in paths],
        "n_images": len(by_name),
        "n_whitened": len(raw),
        "whiten": whiten,
        "border": 2 if border is None else border,
    }
