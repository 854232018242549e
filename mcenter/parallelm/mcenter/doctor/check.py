"""One finding of the doctor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    NOTE = "note"
    """Works, or is not needed now, but is worth knowing."""
    PROBLEM = "problem"
    """Something will fail."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do when that is not as it should be."""

    name: str
    verdict: Verdict
    finding: str
    remedy: str = ""


def ok(name: str, finding: str) -> Check:
    """A check that went well."""
    return Check(name, Verdict.OK, finding)


def note(name: str, finding: str, remedy: str = "") -> Check:
    """A check whose finding is worth knowing."""
    return Check(name, Verdict.NOTE, finding, remedy)


def problem(name: str, finding: str, remedy: str) -> Check:
    """A check that failed."""
    return Check(name, Verdict.PROBLEM, finding, remedy)
