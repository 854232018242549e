"""``above``, ``below`` and ``beyond``: on which side of a number a rule sees a breach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.marked_yaml import Path

SIDES = ("above", "below", "beyond")
"""``beyond`` is both: above the number, or below its negative."""


def side_mistakes(type_name: str, raw: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """A rule has one side, and ``beyond`` a size."""
    if sum(raw.get(side) is not None for side in SIDES) != 1:
        yield (), f"a {type_name} rule needs exactly one of 'above', 'below' and 'beyond'"
    beyond = raw.get("beyond")
    if isinstance(beyond, int | float) and not isinstance(beyond, bool) and beyond <= 0:
        yield ("beyond",), f"beyond: {beyond:g} has no two sides; write a number above 0"


def side_parameters(form: Any) -> dict[str, object]:
    """Side and number, as the cores read them. ``form`` has a field for each of ``SIDES``, and one of them is set."""
    return next(
        {"side": side, "threshold": number} for side in SIDES if (number := getattr(form, side)) is not None
    )
