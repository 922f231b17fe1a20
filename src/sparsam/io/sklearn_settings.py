"""Settings that scikit-learn keeps on an instance beside hyperparameters: output container, metadata requests."""

from __future__ import annotations

from typing import Any

from sklearn import config_context

__all__ = ["restore_settings", "settings_of"]

CONTAINERS = ("default", "pandas", "polars", None)


def settings_of(model: Any) -> dict[str, Any]:
    """Return what ``set_output`` and ``set_fit_request`` and the like have set, as values that JSON holds.

    Examples
    --------
    >>> from sparsam import SparseAutoencoder
    >>> settings_of(SparseAutoencoder().set_output(transform="pandas"))
    {'output': {'transform': 'pandas'}}
    """
    settings: dict[str, Any] = {}
    if "_sklearn_output_config" in vars(model):
        settings["output"] = dict(model._sklearn_output_config)
    if "_metadata_request" in vars(model):
        methods = vars(model.get_metadata_routing()).items()
        settings["requests"] = {name: dict(of.requests) for name, of in methods if getattr(of, "requests", None)}
    return settings


def restore_settings(model: Any, settings: dict[str, Any]) -> None:
    """Set what `settings_of` returned.

    Raises
    ------
    ValueError, TypeError, AttributeError
        If scikit-learn does not know it.
    """
    output, requests = settings.get("output", {}), settings.get("requests", {})
    if any(container not in CONTAINERS for container in output.values()):
        raise ValueError("its output container is unknown")
    if output:
        model.set_output(**output)
    with config_context(enable_metadata_routing=True):  # else scikit-learn refuses to set them
        for method, values in requests.items():
            getattr(model, f"set_{method}_request")(**values)
