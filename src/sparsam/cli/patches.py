"""Where the patches come from: what ``sparsam learn`` and ``sparsam sweep`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsam.cli.terminal import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DATA = "Data"

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


def load(
    paths: list[Path] | None, whiten: bool | None, border: int | None
) -> tuple[list[NDArray[np.float64]], dict[str, Any]]:
    """Load the images, whitened where wanted, and say where they come from and what rim their patches keep clear."""
    import sparsam.images as sources

    if not paths:
        if whiten is False:
            raise ValueError("--no-whiten: the built-in images come whitened; name images of your own")
        loaded = sources.natural_images()
        return loaded, {"images": "built in", "n_images": len(loaded), "n_whitened": 0, "border": border or 0}
    loaded = sources.load_images(paths)
    # Intensities are not negative; images whitened already, as the notes' IMAGES, have mean zero.
    raw = [image.min() >= 0 if whiten is None else whiten for image in loaded]
    if whiten is None:
        say(
            f"Whitening {sum(raw)} of {len(loaded)} images; the others have negative pixels and are taken as whitened "
            "already (--whiten, --no-whiten decide otherwise)"
        )
    loaded = [sources.whiten([image])[0] if is_raw else image for image, is_raw in zip(loaded, raw, strict=True)]
    return loaded, {
        "images": [str(path) for path in paths],
        "n_images": len(loaded),
        "n_whitened": sum(map(int, raw)),
        "border": 2 if border is None else border,
    }
