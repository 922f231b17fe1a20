import subprocess
import sys

import sparsam.images

NAMES = [
    "image_tangents",
    "load_images",
    "natural_images",
    "natural_photographs",
    "normalize_patches",
    "sample_patches",
    "tile_patches",
    "whiten",
]


def test_public_names():
    assert sorted(sparsam.images.__all__) == NAMES
    for name in NAMES:
        assert getattr(sparsam.images, name).__name__ == name


def test_importing_loads_nothing_heavy():
    program = """if True:
        import sys
        import sparsam.images
        heavy = {"sklearn", "skimage", "PIL", "scipy", "matplotlib", "numpy"} & set(sys.modules)
        from sparsam.images import load_images, whiten
        print(sorted(heavy), sorted({"sklearn", "skimage", "PIL", "scipy", "matplotlib"} & set(sys.modules)))
    """
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[] []"
