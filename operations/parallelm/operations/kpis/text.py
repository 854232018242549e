"""Bytes of a file as text: byte-order marks are obeyed, any encoding but UTF-8 needs an option."""

from __future__ import annotations

import codecs

from parallelm.operations.errors import KpiFileError

# UTF-32 first: its little-endian mark starts with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OTHER_FILES = (
    (b"PK\x03\x04", "a workbook or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "a workbook"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
)


def decode(data: bytes, encoding: str = "") -> str:
    """Text of a file in ``encoding``, or in that of its byte-order mark, or in UTF-8.

    Raises ``KpiFileError`` when the bytes are not such text; the message names the line.
    """
    for start, what in _OTHER_FILES:
        if data.startswith(start):
            raise KpiFileError(f"the file is {what}, not CSV text; save or unpack it as CSV (UTF-8)")
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    name = encoding or marked or "utf-8"
    try:
        # The byte-order mark is a character of the text, removed below.
        text = data.decode(name)
    except LookupError as error:
        raise KpiFileError(
            f"unknown encoding {encoding!r}; known are utf-8, utf-16, windows-1252 and others"
        ) from error
    except UnicodeDecodeError as error:
        raise KpiFileError(_undecodable(data, name, error)) from error
    except UnicodeError as error:
        raise KpiFileError(f"the file is not {name}: {error}; give its encoding with --encoding") from error
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        raise KpiFileError(_with_nul(data, text))
    return text


def _undecodable(data: bytes, name: str, error: UnicodeDecodeError) -> str:
    line = data.count(b"\n", 0, error.start) + 1
    said = f"line {line}: the file is not {name.upper()} (byte 0x{error.object[error.start]:02x})"
    if name != "utf-8":
        return f"{said}; give its encoding with --encoding"
    if _is_wide(data):
        return f"{said}; it looks like UTF-16: give --encoding utf-16-le or utf-16-be"
    shown = data.split(b"\n")[line - 1].decode("windows-1252", "replace").strip()[:80]
    return f"{said}; give its encoding, for example --encoding windows-1252, in which the line is {shown!r}"


def _with_nul(data: bytes, text: str) -> str:
    line = text.count("\n", 0, text.index("\0")) + 1
    if _is_wide(data):
        order = "le" if data[1:2] == b"\0" else "be"
        return f"line {line}: there are NUL characters; the file looks like UTF-16: give --encoding utf-16-{order}"
    return f"line {line}: there is a NUL character; the file is damaged: export it again"


def _is_wide(data: bytes) -> bool:
    """Whether every second byte is zero, nearly: text of two bytes a character."""
    start = data[:2_000]
    return max(start[0::2].count(0), start[1::2].count(0)) > len(start) // 4
