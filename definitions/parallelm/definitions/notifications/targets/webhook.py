"""``webhook``: JSON with the alerts, posted to a URL under an ``Idempotency-Key``, and signed where there is a secret."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from parallelm.definitions.notifications.targets import TargetForm

_VARIABLE = re.compile(r"\$\{[^}]*\}")
"""Stays in a URL when a file is checked without its variables; any part of a URL may come from one."""
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - of the standard
_LEAST_KEY, _MOST_KEY = 24, 64
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


def signing_keys(secret: str) -> list[bytes]:
    """Keys of the secrets in a text, with spaces between them while one takes the place of another; raises ``ValueError``."""
    keys = []
    for each in secret.split():
        try:
            key = base64.b64decode(each.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error:
            key = b""
        if not (each.startswith(SECRET_PREFIX) and _LEAST_KEY <= len(key) <= _MOST_KEY):
            raise ValueError(
                f"a secret is {SECRET_PREFIX} and the base64 of {_LEAST_KEY} to {_MOST_KEY} random bytes, as from "
                "`echo whsec_$(openssl rand -base64 32)`"
            )
        keys.append(key)
    return keys


def _secret(text: str) -> str:
    if not _VARIABLE.search(text):
        signing_keys(text)
    return text


HeaderName = Annotated[str, AfterValidator(_name)]
Header = Annotated[str, AfterValidator(_header)]


class WebhookForm(TargetForm, type_name="webhook"):
    """Posts to ``url``; user and password may stand in it."""

    url: Annotated[str, AfterValidator(_url)]
    headers: dict[HeaderName, Header] = Field(default_factory=dict)
    secret: Annotated[str, AfterValidator(_secret)] = ""
    """Signs what is sent, as Standard Webhooks says; ``${NAME}`` keeps it out of the file."""
