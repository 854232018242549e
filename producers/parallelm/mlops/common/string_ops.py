"""Texts that may be shown."""

from __future__ import annotations

import re
from typing import Any

_MASK = "*****"
_SECRET_KEY = re.compile(r"pass(word|wd)?|secret|token", re.IGNORECASE)
_SECRET_IN_TEXT = re.compile(
    r"""(?P<start>["']?[\w.-]*(?:pass(?:word|wd)|secret|token)[\w.-]*["']?\s*[:=]\s*)"""
    r"""(?P<secret>"[^"]*"|'[^']*'|[^\s,;&}]+)""",
    re.IGNORECASE,
)


def mask_passwords(value: str | dict[Any, Any]) -> Any:
    """A copy of a text or dict in which values of passwords, secrets and tokens are stars."""
    if isinstance(value, dict):
        return {key: _MASK if _is_secret(key) else _masked(item) for key, item in value.items()}
    return _SECRET_IN_TEXT.sub(_starred, value)


def _is_secret(key: Any) -> bool:
    return isinstance(key, str) and _SECRET_KEY.search(key) is not None


def _masked(item: Any) -> Any:
    if isinstance(item, (str, dict)):
        return mask_passwords(item)
    if isinstance(item, list):
        return [_masked(element) for element in item]
    return item


def _starred(found: re.Match[str]) -> str:
    secret = found["secret"]
    quote = secret[0] if secret[0] in "\"'" else ""
    return f"{found['start']}{quote}{_MASK}{quote}"
