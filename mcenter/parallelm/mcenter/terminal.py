"""Everything printed to the terminal passes through here, so that text from components, people and logs cannot steer it.

A name may hold escape sequences that clear the screen, marks that turn the direction of text around, or line ends that
forge rows. ``visible`` shows such characters as escapes; ``echo`` applies it to all that a command prints for people.
Data for programs is written unchanged by ``write_data``, unless stdout is a terminal.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Control, format (direction of text, joiners), surrogates, separators of lines and paragraphs."""
_JOINERS = frozenset("\u200c\u200d")
"""Words of Persian and Indic scripts need them, and emoji; they move nothing."""
_ONE_BYTE, _TWO_BYTES = 0xFF, 0xFFFF
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str, *, keep: Iterable[str] = ()) -> str:
    r"""The text with every character that could steer a terminal, or hide in it, as an escape such as ``\x1b``.

    Characters of ``keep`` stay: line ends of a text of several lines.
    """
    if text.isascii() and text.isprintable():
        return text
    unchanged = frozenset(keep)
    return "".join(
        char if char in unchanged or not _is_hidden(char) else _SHORT.get(char) or _escape(char)
        for char in text
    )


def json_escaped(text: str) -> str:
    r"""JSON text with such characters as ``\u009b``; its line ends and spaces stay, since strings hold none raw."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(char if char == "\n" or not _is_hidden(char) else _json_escape(char) for char in text)


def counted_repeats(number: int, what: str) -> str:
    """``1 line repeats a point of the file``, ``2 lines repeat …``, and that the last one counts."""
    repeat = "1 line repeats" if number == 1 else f"{number} lines repeat"
    return f"{repeat} {what} of the file, of which the last one counts"


def echo(text: str = "", *, err: bool = False) -> None:
    """Print one line for people: a line end inside a name does not start a new line."""
    click.echo(visible(text), err=err)


def echo_lines(text: str, *, err: bool = False) -> None:
    """Print a text of several lines, such as a table, whose line ends are the command's own."""
    click.echo(visible(text, keep="\n"), err=err)


def echo_styled(head: str, text: str = "", **style: Any) -> None:
    """Print a line whose head is coloured or bold on a terminal."""
    click.echo(click.style(visible(head), **style) + visible(text))


def write_text(text: str) -> None:
    """Print a result unchanged: every character is written, even a lone surrogate."""
    click.echo(text.encode("utf-8", "surrogateescape" if _is_from_bytes(text) else "backslashreplace"))


def write_data(text: str) -> None:
    """Print a file's text: unchanged to a file or pipe, with visible escapes on a terminal."""
    write_text(visible(text, keep="\n\t") if sys.stdout.isatty() else text)


def _is_from_bytes(text: str) -> bool:
    """Whether its surrogates, if any, stand for bytes that were not UTF-8."""
    return all("\udc80" <= char <= "\udcff" for char in text if "\ud800" <= char <= "\udfff")


def _is_hidden(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN_CATEGORIES and char not in _JOINERS


def _escape(char: str) -> str:
    code = ord(char)
    return (
        f"\\x{code:02x}"
        if code <= _ONE_BYTE
        else f"\\u{code:04x}"
        if code <= _TWO_BYTES
        else f"\\U{code:08x}"
    )


def _json_escape(char: str) -> str:
    return json.dumps(char)[1:-1] if char != "\x7f" else "\\u007f"
