"""Settings that scikit-learn stores on an instance besides hyperparameters: output container, metadata requests."""

from __future__ import annotations

from typing import Any

from sklearn import config_context

__all__ = ["restore_settings", "settings_of"]

CONTAINERS = ("default", "pandas", "polars", None)


def settings_of(model: Any) -> dict[str, Any]:
    """Return the settings made by ``set_output``, ``set_fit_request`` and similar methods, as JSON values.

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
        settings["requests"] = {
            name: dict(method.requests) for name, method in methods if getattr(method, "requests", None)
        }
    return settings


def restore_settings(model: Any, settings: dict[str, Any]) -> None:
    """Restore the settings that `settings_of` returned.

    Raises
    ------
    ValueError, TypeError, AttributeError
        If scikit-learn does not know a setting.
    """
    output, requests = settings.get("output", {}), settings.get("requests", {})
    if any(container not in CONTAINERS for container in output.values()):
        raise ValueError("its output container is unknown")
    if output:
        model.set_output(**output)
    with config_context(enable_metadata_routing=True):  # otherwise scikit-learn refuses to set them
        for method, values in requests.items():
            getattr(model, f"set_{method}_request")(**values)
