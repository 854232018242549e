"""Secrets out of everything that is shown: messages, logs, reprs, records.

Two ways, and most places want the first: ``mask_text`` finds what looks like a secret in a text of any kind (JSON, Python's
reprs, INI, YAML, command lines, headers, URLs); ``without_credentials`` takes user and password out of one URL.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

MASK = "*****"

_SECRET_NAME = re.compile(
    r"password|passwd|passphrase|passcode|pwd|secret|token(?!i[sz])|api[-_. ]?key|access[-_. ]?key|account[-_. ]?key"
    r"|private[-_. ]?key|credential|signature|authorization|(?<![a-z])(?:pass|sig|cookie|auth)(?![a-z])",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"""(?P<quote>(?<!\\)\\*+["'])(?P<quoted>[^"'\\\n]{1,200}+)(?P=quote)\s*+(?:=>|:=|[:=,])\s*+"""
    r"""|(?<![\w.\-])(?P<bare>[\w.\-]++)\s*+(?:=>|:=|[:=])[ \t]*+"""
    r"""|(?<![\w.\-])(?P<option>--?[A-Za-z][\w.\-]*+)[ \t]++(?=[^\s\-])""",
)
_STRING = re.compile(r"""(?P<prefix>[bBuUrRfF]{0,2})(?P<quote>\\*+(?:\"{3}|'{3}|["']))""")
_QUOTE = re.compile(r"""((?<!\\)\\*+)(["'])""")
_CALL = re.compile(r"[\w.]*+[\[{(]")
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_UNQUOTED = re.compile(r"[^\s,;&<>\"']*(?:,(?![\s\"'}\])]|[\w.\-]+\s*[:=])[^\s,;&<>\"']*)*")
_SCHEME = re.compile(r"(?:Basic|Bearer|Digest|Negotiate|Token|ApiKey|AWS4-HMAC-SHA256)[ \t]", re.IGNORECASE)
_LINE = re.compile(r"[^\n\r\"']*")
_WHOLE_LINE = re.compile(r"[^\n\r]*")
_START_OF_LINE = re.compile(r"(?:^|[\n\r])(?P<indent>[ \t]*)(?:-[ \t]+)?$")
_INI_SIGN = re.compile(r"\s=\s*$")
_BLOCK = re.compile(r"[|>]?[+\-\d]*[ \t]*")
_BEARER = re.compile(r"\b(Bearer[ \t]+)[\w.~+/=\-]{8,}|\b(Basic[ \t]+)[A-Za-z0-9+/]{12,}={0,2}")
_ELEMENT = re.compile(r"(<(?P<name>[\w.:\-]+)(?:\s[^<>]*)?>)[^<]+(?=</)")
_TAG = re.compile(r"<(?P<name>[\w.:\-]+)(?:\s[^<>]*)?>")
_PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|\Z)", re.DOTALL)
_IN_URL = re.compile(
    r"""(?P<start>(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]*+://)(?:"""
    r"""(?P<user>[^\s/?\#:@"'<>]*):(?P<plain>[^\s/?\#"'<>]*)@"""
    r"""|(?P<name>[^\s/?\#:@"'<>]*):(?!\d*[/?\#\s"'<>])(?P<odd>[^\s"'<>]*)@"""
    r"""|(?P<token>[A-Za-z0-9_\-]{20,})@)"""
)


def is_secret_name(name: object) -> bool:
    """Whether a value of this name is not to be shown."""
    return isinstance(name, str) and _SECRET_NAME.search(name) is not None


def mask_text(text: str) -> str:
    """The text with stars in place of secrets: values of names such as password, token and api_key; headers; URLs."""
    text = _PEM.sub(rf"\1{MASK}\2", text)
    text = _mask_elements(_mask_named(text))
    text = _ELEMENT.sub(lambda found: found[1] + MASK if is_secret_name(found["name"]) else found[0], text)
    text = _BEARER.sub(lambda found: (found[1] or found[2]) + MASK, text)
    return _IN_URL.sub(_masked_url, text)


def mask_value(value: Any) -> str:
    """A text as ``mask_text`` gives it; of dicts and lists, however nested, their JSON text without secrets."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, (dict, list, tuple)):
        return json.dumps(_masked(value, ()), ensure_ascii=False)
    return mask_text(str(value))


def redacted(text: object, *secrets: str) -> str:
    """``mask_text`` of an exception or message, in which known ``secrets`` are not shown anywhere in it."""
    shown = str(text)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        shown = shown.replace(secret, MASK)
    return mask_text(shown)


def without_credentials(url: str) -> str:
    """A URL without user and password, as it may be stored and shown."""
    scheme, mark, rest = url.partition("://")
    authority = re.match(r"[^/?#]*", rest)
    if not mark or authority is None or "@" not in authority[0]:
        return url
    return f"{scheme}://{rest[authority[0].rindex('@') + 1 :]}"


def credentials_of(url: str) -> tuple[str, str]:
    """User and password of a URL, decoded; empty where it has none."""
    from urllib.parse import unquote

    try:
        parts = urlsplit(url)
        return unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError:
        return "", ""


def _masked(value: Any, within: tuple[int, ...]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return mask_text(value) if isinstance(value, str) else value
    if id(value) in within or len(within) > 100:  # noqa: PLR2004 - nothing that is meant to be read is as deep
        return "..."
    within = (*within, id(value))
    if isinstance(value, dict):
        return {
            key if isinstance(key, str) else str(key): MASK if is_secret_name(key) else _masked(item, within)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        return _masked_items(list(value), within)
    return mask_text(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _masked_items(items: list[Any], within: tuple[int, ...]) -> list[Any]:
    if len(items) == 2 and is_secret_name(items[0]):  # noqa: PLR2004 - a pair of name and value, as headers are
        return [items[0], MASK]
    return [_masked(item, within) for item in items]


def _mask_named(text: str) -> str:
    parts, done, at = [], 0, 0
    while found := _KEY.search(text, at):
        at = found.end()
        name = found["quoted"] or found["bare"] or found["option"]
        pair = found["quoted"] is not None and found[0].rstrip().endswith(",")
        if not is_secret_name(name) or (pair and not _opens_pair(text, found.start())):
            # Mask inside the value as well. A quote that ends one text may begin a name.
            at = found.start() + len(found["quote"]) if found["quoted"] else at
            continue
        end = _end_of_value(text, at, found)
        if end > at:
            parts += [text[done:at], _shown(text, at, found["quote"] or "")]
            done = at = end
    return "".join(parts) + text[done:]


def _mask_elements(text: str) -> str:
    """Mask the whole content of XML elements with secret names: nested elements and CDATA sections as well."""
    parts, done = [], 0
    unclosed: set[str] = set()
    for tag in _TAG.finditer(text):
        name = tag["name"]
        if tag.start() < done or tag[0].endswith("/>") or name in unclosed or not is_secret_name(name):
            continue
        end = text.find(f"</{name}", tag.end())
        if end > tag.end():
            parts += [text[done : tag.end()], MASK]
            done = end
        elif end < 0:
            unclosed.add(name)  # searched for once, so that many start tags take no quadratic time
    return "".join(parts) + text[done:]


def _opens_pair(text: str, start: int) -> bool:
    return text[:start].rstrip()[-1:] in {"(", "["}


def _shown(text: str, at: int, quote_of_name: str) -> str:
    string = _STRING.match(text, at)
    if string is not None:
        return f"{string['prefix']}{string['quote']}{MASK}{string['quote']}"
    return f"{quote_of_name}{MASK}{quote_of_name}"


def _end_of_value(text: str, at: int, key: re.Match[str]) -> int:
    string = _STRING.match(text, at)
    if string is not None:
        return _end_of_string(text, string)
    opened = _CALL.match(text, at)
    if opened is not None:
        return _end_of_brackets(text, opened.end() - 1)
    pattern = _UNQUOTED
    if _SCHEME.match(text, at):
        pattern = _LINE
    elif key["bare"]:
        line = _START_OF_LINE.search(text[max(0, key.start() - 80) : key.start()])
        if line is not None and ":" in key[0]:
            return _end_of_yaml(text, at, len(line["indent"]))
        if line is not None and _INI_SIGN.search(key[0]):
            return _end_of_line(text, at)
    found = pattern.match(text, at)
    end = at if found is None else found.end()
    while end > at and text[end - 1] in ")]}" and text[end - 1] not in _opened_in(text[at:end]):
        end -= 1  # they close what was opened before the name
    return end


def _end_of_yaml(text: str, at: int, indent: int) -> int:
    """The rest of the line, or the deeper lines below one that only opens a block."""
    end = _end_of_line(text, at)
    if _BLOCK.fullmatch(text, at, end):
        while deeper := re.compile(rf"[\n\r]+[ \t]{{{indent + 1},}}").match(text, end):
            end = _end_of_line(text, deeper.end())
    return end


def _end_of_line(text: str, at: int) -> int:
    found = _WHOLE_LINE.match(text, at)
    return at if found is None else found.end()


def _opened_in(value: str) -> set[str]:
    return {_CLOSING[sign] for sign in value if sign in _CLOSING}


def _end_of_string(text: str, start: re.Match[str]) -> int:
    """Behind the quote that closes a string; the end of the text when none does.

    Within strings within strings quotes have backslashes, 1, 3, 7 … of them by depth.
    """
    sign = start["quote"].lstrip("\\")
    depth = (len(start["quote"]) - len(sign) + 1).bit_length() - 1
    at = start.end()
    while found := _QUOTE.search(text, at):
        at = found.end()
        if found[2] != sign[0] or not text.startswith(sign, found.start(2)):
            continue
        if _closes(len(found[1]), depth):
            end = found.start(2) + len(sign)
            if not depth and text.startswith(sign, end):  # SQL's and YAML's doubled quote
                at = end + len(sign)
                continue
            glued = re.compile(r"[^\s,;:&)}\]<>\"'\\]*").match(text, end)
            return end if glued is None else glued.end()
    return len(text)


def _closes(backslashes: int, depth: int) -> bool:
    while depth and backslashes % 2:
        backslashes, depth = backslashes // 2, depth - 1
    return backslashes % 2 == 0


def _end_of_brackets(text: str, at: int) -> int:
    waiting: list[str] = []
    while at < len(text):
        sign = text[at]
        string = _STRING.match(text, at) if sign in "\"'\\" else None
        if string is not None:
            at = _end_of_string(text, string)
            continue
        at += 1
        if sign in _CLOSING:
            waiting.append(_CLOSING[sign])
        elif sign in ")]}" and waiting and sign == waiting[-1]:
            waiting.pop()
            if not waiting:
                return at
    return at


def _masked_url(found: re.Match[str]) -> str:
    if found["token"] is not None:
        return f"{found['start']}{MASK}@"
    return f"{found['start']}{found['user'] if found['plain'] is not None else found['name']}:{MASK}@"
