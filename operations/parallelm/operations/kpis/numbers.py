"""Numbers as programs and spreadsheets write them. The decimal sign is inferred from all numbers of a file."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.operations.errors import KpiFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from parallelm.operations.kpis.format import KpiFileFormat

_SPACES = re.compile("[ \u00a0\u2007\u2008\u2009\u202f]")
_APOSTROPHES = re.compile("['\u2019\u02bc]")
_MINUS = re.compile("^[\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d]")
_PARTS = re.compile(r"([+-]?)([\d., ']*\d[\d., ']*)([eE][+-]?\d+)?\Z", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity|\u221e)\Z", re.IGNORECASE)
_SPREADSHEET_ERROR = re.compile(r"#(N/A|DIV/0!|REF!|VALUE!|NAME\?|NUM!|NULL!|#+|.*[!?])\Z")
_GROUP = 3
THOUSANDS = {".": ".", ",": ",", "space": " ", "apostrophe": "'"}
_SIGN_NAMES = {".": "the point", ",": "the comma"}


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How the numbers of a file are written."""

    decimal: str
    thousands: frozenset[str]
    """Signs that group digits by three."""
    why: str = ""
    """What shows which sign is the decimal one."""

    def canonical(self, text: str) -> str:
        """The number as Python writes it; raises ``ValueError`` with what is wrong."""
        plain = normalised(text)
        parts = _PARTS.match(plain)
        if not parts:
            raise ValueError(_what_is_wrong(text, plain))
        sign, digits, exponent = parts[1], parts[2], parts[3] or ""
        whole, point, fraction = digits.partition(self.decimal)
        groups = _groups(whole, self.thousands)
        if groups is None or (fraction and not fraction.isdecimal()) or not (groups or fraction):
            raise ValueError(self._misplaced(text, digits))
        return f"{sign}{groups or '0'}{'.' if point else ''}{fraction}{exponent}"

    def _misplaced(self, text: str, digits: str) -> str:
        other = "," if self.decimal == "." else "."
        because = f" ({self.why})" if self.why else ""
        if other in digits and other not in self.thousands:
            grouped = _groups(digits.partition(self.decimal)[0], self.thousands | {other}) is not None
            remedy = f"; give --thousands {other} if it groups digits" if grouped else ""
            return (
                f"{text!r} has {_SIGN_NAMES[other]}, and the decimal sign of the file is "
                f"{_SIGN_NAMES[self.decimal]}{because}{remedy}"
            )
        return f"{text!r} is not a number: its digits are not grouped by three{because}"


def normalised(text: str) -> str:
    """The text with plain spaces, apostrophes and minus signs in place of typographic ones."""
    plain = text.strip()
    if plain.isascii() and plain[1:2] != " ":  # as nearly all are
        return plain
    plain = _APOSTROPHES.sub("'", _SPACES.sub(" ", plain))
    plain = _MINUS.sub("-", plain)
    return re.sub(r"^([+-]) +", r"\1", plain)


def parse_value(text: str, numbers: NumberFormat) -> float:
    """A KPI's value; raises ``ValueError`` with what is wrong."""
    if not text:
        raise ValueError("is empty")
    if _NOT_FINITE.match(normalised(text)):
        raise ValueError(f"{text!r} is not a finite number")
    value = float(numbers.canonical(text))
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def find_format(texts: Iterable[tuple[int, str]], wanted: KpiFileFormat, delimiter: str) -> NumberFormat:
    """How a file's numbers, given with their lines, are written.

    A sign is the decimal one where it cannot group digits, and groups them where it cannot be the decimal one. Raises
    ``KpiFileError`` when numbers contradict each other, or when all of them have two readings.
    """
    evidence = _Evidence()
    for line, text in texts:
        evidence.add(line, text)
    if wanted.decimal or wanted.thousands in {".", ","}:
        decimal = wanted.decimal or {".": ",", ",": "."}[wanted.thousands]
        why = "as asked"
    else:
        decimal, why = evidence.decimal(delimiter)
    thousands = {THOUSANDS[wanted.thousands]} if wanted.thousands else {*evidence.grouping, " ", "'"}
    return NumberFormat(decimal, frozenset(thousands - {decimal}), why)


class _Evidence:
    """What the numbers of a file show about its two signs, with the first number that shows it."""

    def __init__(self) -> None:
        self.decimals: dict[str, tuple[int, str]] = {}
        self.grouping: dict[str, tuple[int, str]] = {}
        self.unclear: dict[str, tuple[int, str]] = {}

    def add(self, line: int, text: str) -> None:
        if "." not in text and "," not in text:
            return
        parts = _PARTS.match(normalised(text))
        if not parts:
            return
        digits = parts[2].replace(" ", "").replace("'", "")
        signs = [sign for sign in digits if sign in ".,"]
        if not signs:
            return
        place = line, text
        last = signs[-1]
        if len(set(signs)) > 1:
            # 1.234,5: the last sign is the decimal one; twice (1,234,5) it is not a number.
            if signs.count(last) == 1:
                self.decimals.setdefault(last, place)
                self.grouping.setdefault(signs[0], place)
        elif len(signs) > 1:
            if _groups(digits, frozenset(last)) is not None:
                self.grouping.setdefault(last, place)
        else:
            before, _, after = digits.partition(last)
            separated = len(parts[2]) != len(digits)
            can_group = len(after) == _GROUP and 1 <= len(before) <= _GROUP and not before.startswith("0")
            # 1 234.567: the spaces group, so the point does not.
            known = self.unclear if can_group and not separated and not parts[3] else self.decimals
            known.setdefault(last, place)

    def decimal(self, delimiter: str) -> tuple[str, str]:
        """The decimal sign, and what shows it."""
        if len(self.decimals) > 1:
            raise KpiFileError(
                f"{_seen(self.decimals['.'])} and {_seen(self.decimals[','])} have different decimal signs; "
                "give --decimal . or --decimal ,"
            )
        for sign, place in self.decimals.items():
            return sign, _seen(place)
        for sign, other in ((".", ","), (",", ".")):
            if sign in self.grouping:
                if other in self.grouping:
                    raise KpiFileError(
                        f"{_seen(self.grouping['.'])} and {_seen(self.grouping[','])} group digits by different "
                        "signs; give --decimal . or --decimal ,"
                    )
                return other, _seen(self.grouping[sign])
        # Programs, and spreadsheets that write the decimal point, separate columns by commas.
        if "," in self.unclear or (self.unclear and delimiter != ","):
            sign, (line, text) = next(iter(sorted(self.unclear.items())))
            raise KpiFileError(
                f"line {line}: {text!r} has two readings, {text.replace(sign, '.')} and {text.replace(sign, '')}; "
                f"give --decimal {sign} or --thousands {sign}"
            )
        return ".", ""


def _seen(place: tuple[int, str]) -> str:
    line, text = place
    return f"{text!r} in line {line}"


def _groups(digits: str, thousands: frozenset[str]) -> str | None:
    """The digits of a whole number without its grouping; None when it is grouped otherwise than by three."""
    if not digits or (digits.isdecimal() and digits.isascii()):
        return digits
    signs = {sign for sign in digits if not sign.isdecimal()}
    if len(signs) > 1 or not signs <= thousands:
        return None
    first, *rest = digits.split(signs.pop())
    if not 1 <= len(first) <= _GROUP or any(len(group) != _GROUP for group in rest):
        return None
    return first + "".join(rest)


def _what_is_wrong(text: str, plain: str) -> str:
    if _SPREADSHEET_ERROR.match(plain):
        return f"{text!r} is an error of the spreadsheet"
    if "%" in plain or "\u2030" in plain:
        return f"{text!r} has a percent sign; write the plain number, 0.81 or 81, whichever the KPI means"
    if plain.startswith("(") and plain.endswith(")"):
        return f"{text!r} is in parentheses; write a negative number with a minus sign"
    if re.search(r"[$\u20ac\u00a3\u00a5\u20b9\u20a4]|\b[A-Z]{3}\b", plain) and re.search(r"\d", plain):
        return f"{text!r} has a currency; write the plain number, and the currency as a label"
    return f"{text!r} is not a number"
