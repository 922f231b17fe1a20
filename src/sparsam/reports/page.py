"""A template filled with values: the page as a whole."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import platformdirs

from sparsam._utils.atomic_write import atomic_write
from sparsam.reports.diagnostics import Finding

__all__ = ["Page", "render", "require_libraries"]

MISSING = "a report needs Altair and vl-convert: pip install 'sparsam[report]'"


@dataclass
class Page:
    """What a template is filled with.

    Attributes
    ----------
    template : str
        Name of the template file.
    content : dict
        What this template wants.
    charts : dict of str to dict
        Vega-Lite's specifications, by the names by which the template places them.
    facts : list of (str, str)
        Of the fit, at the page's head.
    findings : list of Finding
        Warnings, and what is good to know.
    parameters : dict
        The estimator's.
    """

    template: str
    content: dict[str, Any]
    charts: dict[str, dict[str, Any]]
    facts: list[tuple[str, str]]
    findings: list[Finding]
    parameters: dict[str, Any]
    title: str = ""
    remarks: list[str] = field(default_factory=list)


def require_libraries() -> None:
    """Raise ImportError, which names the extra, where a library of the report is missing."""
    try:
        import altair  # noqa: F401
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{MISSING} ({error})") from error


def render(page: Page) -> str:
    """Fill the template; whatever is not our own is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sparsam.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `tojson` writes <, > and & as \uXXXX, so that no text can end the script element that it is in.
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    folder = files("sparsam.reports") / "templates"
    findings = [*page.findings, *(Finding("note", text) for text in page.remarks)]
    findings.sort(key=lambda finding: ("warning", "note", "good").index(finding.kind))
    return environment.get_template(page.template).render(
        page.content,
        title=page.title,
        facts=page.facts,
        findings=findings,
        parameters=page.parameters,
        charts=page.charts,
        style=(folder / "report.css").read_text(encoding="utf-8"),
        script=(folder / "report.js").read_text(encoding="utf-8"),
        vega=_vega(),
    )


@cache
def _vega() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, kept in the user's cache folder: it takes seconds to make."""
    import vl_convert
    from altair import SCHEMA_VERSION  # of Vega-Lite, such as v6.1.0

    vega_lite = ".".join(SCHEMA_VERSION.lstrip("v").split(".")[:2])
    kept = platformdirs.user_cache_path("sparsam") / f"vega-lite-{vega_lite}-{version('vl-convert-python')}.js"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    bundle: str = vl_convert.javascript_bundle(vl_version=vega_lite)  # type: ignore[call-arg]
    bundle = bundle.replace("</script", "<\\/script")
    with suppress(OSError):  # then it is made again next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(kept) as file:
            file.write(bundle.encode())
    return bundle
