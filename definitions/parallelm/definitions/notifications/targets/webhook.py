"""``webhook``: JSON with the alerts, posted to a URL under an ``Idempotency-Key``."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from parallelm.definitions.notifications.targets import TargetForm

_VARIABLE = re.compile(r"\$\{[^}]*\}")
"""Stays in a URL when a file is checked without its variables; any part of a URL may come from one."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


def _url(url: str) -> str:
    if _VARIABLE.search(url):
        return url
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("it must be a URL that begins with http:// or https://")
    return url


def _header(text: str) -> str:
    if not text.isprintable() or not text.isascii():
        raise ValueError("a header must be printable ASCII text in one line")
    return text


def _name(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("a name of a header is one word, as in X-Token")
    return text


HeaderName = Annotated[str, AfterValidator(_name)]
Header = Annotated[str, AfterValidator(_header)]


class WebhookForm(TargetForm, type_name="webhook"):
    """Posts to ``url``; user and password may stand in it."""

    url: Annotated[str, AfterValidator(_url)]
    headers: dict[HeaderName, Header] = Field(default_factory=dict)
