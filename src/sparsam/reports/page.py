"""Fill a template with the content of a page."""

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
    """Content of a page.

    Attributes
    ----------
    template : str
        Name of the template file.
    content : dict
        Variables of this template.
    charts : dict of str to dict
        Vega-Lite specifications, by the names that the template uses.
    facts : list of (str, str)
        Facts about the fit, for the head of the page.
    findings : list of Finding
        Warnings and notes.
    parameters : dict
        Parameters of the estimator.
    scripts, styles : tuples of str
        Files among the templates.
    """

    template: str
    content: dict[str, Any]
    charts: dict[str, dict[str, Any]]
    facts: list[tuple[str, str]]
    findings: list[Finding]
    parameters: dict[str, Any]
    scripts: tuple[str, ...] = ("report.js",)
    styles: tuple[str, ...] = ("report.css",)
    title: str = ""
    remarks: list[str] = field(default_factory=list)


def require_libraries() -> None:
    """Raise ImportError, which names the extra to install, if a library that reports need is missing."""
    try:
        import altair  # noqa: F401
        import jinja2  # noqa: F401
        import vl_convert  # noqa: F401
    except ImportError as error:
        raise ImportError(f"{MISSING} ({error})") from error


def render(page: Page) -> str:
    """Fill the template; text from the user is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("sparsam.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # `tojson` writes <, > and & as \uXXXX, so that no text can close its script element.
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
        style="".join((folder / name).read_text(encoding="utf-8") for name in page.styles),
        script="".join((folder / name).read_text(encoding="utf-8") for name in page.scripts),
        vega=_vega(),
    )


@cache
def _vega() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script; cached in the user's folder, since it takes seconds."""
    import vl_convert
    from altair import SCHEMA_VERSION  # version of Vega-Lite, such as v6.1.0

    vega_lite = ".".join(SCHEMA_VERSION.lstrip("v").split(".")[:2])
    cached = platformdirs.user_cache_path("sparsam") / f"vega-lite-{vega_lite}-{version('vl-convert-python')}.js"
    if cached.is_file():
        return cached.read_text(encoding="utf-8")
    bundle: str = vl_convert.javascript_bundle(vl_version=vega_lite)  # type: ignore[call-arg]
    bundle = bundle.replace("</script", "<\\/script")
    with suppress(OSError):  # without a cache, it is made again next time
        cached.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(cached) as file:
            file.write(bundle.encode())
    return bundle
