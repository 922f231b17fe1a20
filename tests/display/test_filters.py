"""Matplotlib and Pillow draw exactly the mosaic's pixels; saving is exact and atomic."""

import inspect
import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image

from sparsam.display import filter_mosaic, plot_filters, plot_reconstructions

FILTERS = np.random.default_rng(0).normal(size=(7, 60))  # with a short last line, and cells without a filter


def screen(figure):
    """Return the pixels of a figure on the screen."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def read(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def enlarged(mosaic, pixels):
    """Enlarge the mosaic to the size of `pixels`, each of its pixels to a square."""
    zoom = pixels.shape[0] // mosaic.shape[0]
    assert zoom >= 1
    return mosaic.repeat(zoom, axis=0).repeat(zoom, axis=1)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(1, 30),
    st.integers(0, 3),
    st.none() | st.integers(1, 9),
)
def test_screen_shows_squares_of_the_mosaics_pixels(n_filters, height, width, border_width, n_columns):
    A = np.random.default_rng(n_filters).normal(size=(n_filters, height, width))
    options = {"border_width": border_width, "n_columns": n_columns}
    image = plot_filters(A, **options)
    mosaic = filter_mosaic(A, **options)
    pixels = screen(image.figure)
    plt.close(image.figure)
    assert_array_equal(image.get_array(), mosaic)
    assert_array_equal(pixels, enlarged(mosaic, pixels))


@pytest.mark.parametrize("shape", [(900, 4, 4), (100, 28, 28), (1, 1, 1), (3, 1, 200), (3, 200, 1)])
def test_figures_have_a_sensible_size_and_show_each_pixel(shape):
    A = np.random.default_rng(0).normal(size=shape)
    figure = plot_filters(A).figure
    pixels = screen(figure)
    assert_array_equal(pixels, enlarged(filter_mosaic(A), pixels))
    assert 3 < max(figure.get_size_inches()) < 8.1


@pytest.mark.parametrize(
    "settings",
    [
        {"image.origin": "lower", "image.aspect": "auto", "image.interpolation": "bicubic"},
        {"savefig.bbox": "tight", "savefig.pad_inches": 1.0, "savefig.dpi": 37},
        {"figure.constrained_layout.use": True, "figure.dpi": 72, "axes.grid": True},
        {"figure.autolayout": True, "figure.dpi": 131.7, "savefig.facecolor": "red"},
    ],
)
def test_users_settings_do_not_disturb_the_pixels(tmp_path, settings):
    with mpl.rc_context(settings), warnings.catch_warnings():
        warnings.simplefilter("error")
        image = plot_filters(FILTERS, save=tmp_path / "a.png")
        pixels = screen(image.figure)
    mosaic = filter_mosaic(FILTERS)
    assert_array_equal(pixels, enlarged(mosaic, pixels))
    saved = read(tmp_path / "a.png")
    assert_array_equal(saved, enlarged(mosaic, saved))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalize_each": False, "n_columns": 2},
        {"normalize_each": False, "normalize_all": False, "cmap": "viridis"},
        {"image_width": 7, "border_color": "orange", "border_width": 3},
    ],
)
def test_both_libraries_draw_the_same_pixels_on_screen_and_disk(tmp_path, options):
    mosaic = filter_mosaic(FILTERS, **options)
    picture = plot_filters(FILTERS, library="PIL", save=tmp_path / "pil.png", **options)
    assert isinstance(picture, Image.Image)
    assert_array_equal(np.asarray(picture), mosaic)
    assert_array_equal(read(tmp_path / "pil.png"), mosaic)
    image = plot_filters(FILTERS, library="matplotlib", save=tmp_path / "matplotlib.png", **options)
    assert_array_equal(image.get_array(), mosaic)
    saved = read(tmp_path / "matplotlib.png")
    assert_array_equal(saved, enlarged(mosaic, saved))
    assert names(tmp_path) == ["matplotlib.png", "pil.png"]


def test_color_patches():
    A = np.random.default_rng(0).uniform(size=(4, 3, 5, 3))
    as_they_are = {"normalize_each": False, "normalize_all": False}
    image = plot_filters(A, **as_they_are)
    pixels = screen(image.figure)
    assert_array_equal(pixels, enlarged(filter_mosaic(A, **as_they_are), pixels))


def test_pillow_opens_no_figure_and_matplotlib_one():
    plot_filters(FILTERS, library="PIL")
    assert plt.get_fignums() == []
    image = plot_filters(FILTERS)
    assert [plt.figure(number) for number in plt.get_fignums()] == [image.figure]


MAGIC = {
    "png": b"\x89PNG",
    "pdf": b"%PDF",
    "svg": b"<?xml",
    "svgz": b"\x1f\x8b",
    "eps": b"%!PS",
    "jpg": b"\xff\xd8",
    "webp": b"RIFF",
    "tif": (b"II", b"MM"),
}


@pytest.mark.parametrize("suffix", [*MAGIC, "PNG"])
@pytest.mark.parametrize("plot", [plot_filters, lambda A, **options: plot_reconstructions(A, A, **options)])
def test_suffix_decides_the_format(tmp_path, suffix, plot):
    plot(FILTERS, save=str(tmp_path / f"a.{suffix}"))
    assert (tmp_path / f"a.{suffix}").read_bytes().startswith(MAGIC[suffix.lower()])


@pytest.mark.parametrize("suffix", ["png", "pdf", "gif", "jpg", "webp", "tiff", "bmp"])
def test_suffix_decides_pillows_format(tmp_path, suffix):
    picture = plot_filters(FILTERS, library="PIL", save=tmp_path / f"a.{suffix}")
    if suffix == "pdf":
        assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    else:
        assert read(tmp_path / f"a.{suffix}").shape == (*picture.size[::-1], 3)


@pytest.mark.parametrize("library", ["matplotlib", "PIL"])
def test_failed_saving_keeps_the_old_file_and_closes_the_figure(tmp_path, monkeypatch, library):
    def fail(self, file, **options):
        file.write(b"half a picture")
        raise RuntimeError("no more ink")

    monkeypatch.setattr(mpl.figure.Figure, "savefig", fail)
    monkeypatch.setattr(Image.Image, "save", fail)
    (tmp_path / "a.png").write_bytes(b"old")
    with pytest.raises(RuntimeError, match="ink"):
        plot_filters(FILTERS, library=library, save=tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert names(tmp_path) == ["a.png"]
    assert plt.get_fignums() == []


def test_given_axes_are_used_and_kept(tmp_path):
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3))
    right.set(title="title", xlabel="label")
    image = plot_filters(FILTERS, ax=right, save=tmp_path / "a.png")
    assert image.axes is right
    assert plt.get_fignums() == [figure.number]
    assert not left.images
    assert len(right.get_xticks()) == len(right.get_yticks()) == 0
    assert right.get_title() == "title"
    assert right.xaxis.label.get_visible()
    assert right.get_aspect() == 1
    assert image.get_interpolation() == "nearest"
    saved = read(tmp_path / "a.png")
    assert saved.shape[1] > 1.5 * saved.shape[0]  # the whole figure


def test_axes_of_a_subfigure_save_the_whole_figure(tmp_path):
    figure = plt.figure(figsize=(4, 2))
    left, right = figure.subfigures(1, 2)
    for part in (left, right):
        plot_filters(FILTERS, ax=part.add_subplot(), save=tmp_path / "a.png")
    saved = read(tmp_path / "a.png")
    assert saved.shape[1] > 1.5 * saved.shape[0]


@pytest.mark.parametrize("library", ["matplotlib", "PIL"])
def test_show_opens_a_window_after_saving(tmp_path, monkeypatch, library):
    shown = []

    def show(*arguments):
        shown.append((*arguments, names(tmp_path)))

    monkeypatch.setattr(plt, "show", show)
    monkeypatch.setattr(Image.Image, "show", show)
    plot_filters(FILTERS, library=library)
    assert shown == []
    plot_filters(FILTERS, library=library, show=True, save=tmp_path / "a.png")
    (call,) = shown
    assert call[-1] == ["a.png"]
    if library == "PIL":  # enlarged, because a picture of 30 pixels is too small to see
        pixels = np.asarray(call[0])
        assert min(pixels.shape[:2]) > 300
        assert_array_equal(pixels, enlarged(filter_mosaic(FILTERS), pixels))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"library": "pillow"}, ValueError, "library must be.*'pillow'"),
        ({"save": "a"}, ValueError, "cannot write save='a': its suffix must be one of .*\\.png"),
        ({"save": "a.doc"}, ValueError, "a.doc.*\\.pdf"),
        ({"save": "a.doc", "library": "PIL"}, ValueError, "a.doc.*\\.gif"),
        ({"save": "missing/a.png"}, FileNotFoundError, "missing"),
        ({"save": "missing/a.png", "library": "PIL"}, FileNotFoundError, "missing"),
        ({"ax": [1, 2]}, TypeError, "Axes"),
        ({"n_columns": 0}, ValueError, "n_columns"),
        ({"border_color": "bleu"}, ValueError, "bleu"),
    ],
)
def test_errors_leave_neither_figures_nor_files(tmp_path, monkeypatch, options, error, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        plot_filters(FILTERS, **options)
    assert plt.get_fignums() == []
    assert names(tmp_path) == []


def test_axes_are_refused_with_pillow():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="ax is for library"):
        plot_filters(FILTERS, library="PIL", ax=ax)


def test_all_that_draw_mosaics_have_the_same_parameters_and_defaults():
    mosaic, filters, reconstructions = (
        inspect.signature(function).parameters for function in (filter_mosaic, plot_filters, plot_reconstructions)
    )
    for name, parameter in mosaic.items():
        assert filters[name].default == parameter.default
        if name not in ("A", "normalize_each"):  # scaled separately, they could not be compared
            assert reconstructions[name].default == parameter.default


# ---------------------------------------------------------------------------------------- reconstructions


def rows_of(image, n_columns, height, width, border_width=1):
    """Return the patches in the rows that the labels mark: {line: (label, gray tiles)}."""
    pixels = np.asarray(image.get_array())
    rows = {}
    for line, label in zip(image.axes.get_yticks(), image.axes.get_yticklabels(), strict=True):
        top = round(line - (height - 1) / 2)
        lefts = [border_width + k * (width + border_width) for k in range(n_columns)]
        tiles = [pixels[top : top + height, left : left + width, 0] for left in lefts]
        rows[line] = (label.get_text().split()[0], np.array(tiles))
    return rows


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 23), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2), st.none() | st.integers(1, 7))
def test_originals_stand_above_their_reconstructions(n_patches, height, width, border_width, n_columns):
    # The gray level of a patch is given by its number; its reconstruction is one level brighter.
    gray = np.arange(n_patches) * 10
    shape = (n_patches, height, width)
    patches = np.broadcast_to(gray[:, np.newaxis, np.newaxis], shape) / 255
    image = plot_reconstructions(
        patches,
        patches + 1 / 255,
        n_patches=None,
        normalize_all=False,
        n_columns=n_columns,
        border_width=border_width,
    )
    plt.close(image.figure)
    if n_columns is None:
        n_columns = (image.get_size()[1] - border_width) // (width + border_width)
        assert n_columns <= 10
    rows = rows_of(image, n_columns, height, width, border_width)
    lines = sorted(rows)
    assert [rows[line][0] for line in lines] == ["original", "reconstruction"] * (len(lines) // 2)
    for step, parity in enumerate((0, 1)):
        tiles = np.concatenate([rows[line][1] for line in lines[parity::2]])
        assert_array_equal(tiles[:n_patches], np.broadcast_to((gray + step)[:, None, None], shape))
        assert (tiles[n_patches:] == 0).all()  # blue has no red
        assert len(tiles) - n_patches < n_columns


def test_reconstructions_are_on_the_scale_of_the_originals():
    patches = np.array([[-1.0, 1.0, 0.5, -0.5]])
    rows = rows_of(plot_reconstructions(patches, patches / 4), 1, 2, 2)
    original, reconstruction = (tiles for _, (_, tiles) in sorted(rows.items()))
    assert_array_equal(original[0], [[0, 255], [192, 64]])
    assert_array_equal(reconstruction[0], [[96, 160], [144, 112]])


def test_first_patches_are_shown_and_only_they_are_looked_at():
    patches = np.random.default_rng(0).normal(size=(50, 16))
    patches[30] = np.nan
    for n_patches in (10, 20):
        image = plot_reconstructions(patches, patches, n_patches=n_patches)
        expected = plot_reconstructions(patches[:n_patches], patches[:n_patches], n_patches=None)
        assert_array_equal(image.get_array(), expected.get_array())
    with pytest.raises(ValueError, match=r"patches has NaN.*patches\[30\]"):
        plot_reconstructions(patches, patches, n_patches=31)


def test_ragged_and_color_patches():
    ragged = np.random.default_rng(0).uniform(size=(3, 7))
    image = plot_reconstructions(ragged, ragged, normalize_all=False, image_width=4)
    assert image.get_size() == (2 * 3 + 1, 3 * 5 + 1)
    assert_array_equal(image.get_array()[2, 4], (0, 0, 255))
    color = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3))
    image = plot_reconstructions(color / 255, 1 - color / 255, normalize_all=False)
    assert_array_equal(image.get_array()[1:5, 1:6], color[0])
    assert_array_equal(image.get_array()[6:10, 1:6], 255 - color[0])


def test_labels_lie_inside_a_new_figure_and_pixels_are_exact():
    image = plot_reconstructions(FILTERS, 0.9 * FILTERS)
    pixels = screen(image.figure)
    for label in image.axes.get_yticklabels():
        box = label.get_window_extent()
        assert box.x0 >= 0
        assert box.x1 < image.axes.bbox.x0
    zoom = round(image.axes.bbox.height) // image.get_size()[0]
    mosaic = np.asarray(image.get_array())
    assert_array_equal(pixels[:, -zoom * mosaic.shape[1] :], enlarged(mosaic, pixels))


def test_reconstructions_in_given_axes():
    figure, ax = plt.subplots()
    assert plot_reconstructions(FILTERS, FILTERS, ax=ax).axes is ax
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize(
    ("reconstructions", "options", "message"),
    [
        (FILTERS[:, :-1], {}, r"same shape.*\(7, 60\) and \(7, 59\)"),
        (FILTERS[:-1], {}, "same shape"),
        (FILTERS, {"n_patches": 0}, "n_patches must be at least 1"),
        (FILTERS, {"n_columns": 0}, "n_columns"),
        (FILTERS, {"save": "a.doc"}, "a.doc"),
        (np.where(FILTERS > 2, np.inf, FILTERS), {}, "reconstructions has NaN or infinity"),
    ],
)
def test_errors_of_reconstructions(reconstructions, options, message):
    with pytest.raises(ValueError, match=message):
        plot_reconstructions(FILTERS, reconstructions, **options)
    assert plt.get_fignums() == []
