"""Templates and what all of them know: who looks, the menu, the time range and the viewer's zone."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from parallelm.server import pages
from parallelm.server.charts.packing import packed_body
from parallelm.server.context import context_of
from parallelm.server.pages import filters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("parallelm.server", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= filters.FILTERS
_THEMES: Final = ("light", "dark")
_STATIC: Final = Path(__file__).parent.parent / "static"


def render(
    request: Request,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A page, or the part of one that htmx asks for."""
    text = _ENVIRONMENT.get_template(template).render(_of_every_page(request) | dict(values or {}))
    body, more = text.encode(), dict(headers or {})
    # Parts come again and again. Whole pages hold a token against forgery, whose length must tell nothing.
    if "hx-request" in request.headers and "<meta" not in text:
        body, packing = packed_body(request, body)
        more |= packing
    return HTMLResponse(body, status_code, more)


def _of_every_page(request: Request) -> dict[str, Any]:
    asking = context_of(request).authenticate(request)
    entries = [page for page in pages.menu() if asking and asking.mlapps(page.action) != frozenset()]
    root = request.scope.get("root_path", "")
    return {
        "asking": asking,
        "csrf_token": asking.csrf_token if asking else "",
        "menu": [page for page in entries if not page.of_mlapp],
        "tabs": [page for page in entries if page.of_mlapp],
        "path": request.url.path.removeprefix(root),
        "root": root,
        "position_ms": getattr(request.state, "position_ms", None),
        "live_url": partial(_live_url, request),
        "query": request.query_params.multi_items(),
        "zone": filters.zone_of(request.cookies.get("zone", "UTC")).key,
        "theme": theme if (theme := request.cookies.get("theme")) in _THEMES else "",
        "static": lambda name: f"{root}/static/{name}?{_version(name)}",
    }


def _live_url(request: Request, mlapp_id: str = "") -> str:
    """The events for a page: of an MLApp or of all, from what the page shows on."""
    asked = {"mlapp_id": mlapp_id, "since": getattr(request.state, "position_ms", None)}
    query = urlencode({name: value for name, value in asked.items() if value not in {None, ""}})
    return f"{request.scope.get('root_path', '')}/live" + (f"?{query}" if query else "")


def _version(name: str) -> int:
    """Changes when the file does: browsers may keep it as long as they like."""
    try:
        return (_STATIC / name).stat().st_mtime_ns // 1_000_000_000
    except FileNotFoundError:
        return 0
