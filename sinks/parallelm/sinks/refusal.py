"""What becomes of a block that ClickHouse has refused. Pure functions.

A block is only cut while nothing of it is stored and no insert of it can be running: its pieces are blocks of their
own, with intents and tokens of their own, which ClickHouse would not recognise as parts of the whole.

If the process dies between the refusal and the first piece, the next owner finds the intent of the whole block, repeats
it under its token and is refused as well. If it dies after a piece was announced, the next owner finds the intent of
that piece; what follows it was never stored, and is cut again where that is needed.
"""

from __future__ import annotations

from enum import Enum, auto

from parallelm.sinks.server_errors import Kind


class Step(Enum):
    """What to do next."""

    AGAIN = auto()
    """The same block, under the same token, after a while."""
    HALVE = auto()
    """Two blocks in its place."""
    GIVE_UP = auto()
    """Its only record is a dead letter."""


def may_be_cut(kind: Kind) -> bool:
    """Whether an answer of this kind asks for smaller blocks."""
    return kind in {Kind.SLOW, Kind.SMALLER, Kind.POISON}


def next_step(
    kind: Kind, *, record_count: int, is_settled: bool, stored_rows: int, waited_enough: bool
) -> Step:
    """The step after a refusal of a block of ``record_count`` records.

    ``is_settled``: no earlier insert of it can be running. ``stored_rows``: of its range, found in the table after the
    refusal. ``waited_enough``: a lack of memory has lasted so long that it is not a matter of a moment.
    """
    if not may_be_cut(kind) or not is_settled or stored_rows:
        return Step.AGAIN
    if record_count > 1:
        return Step.HALVE
    if kind is Kind.POISON or (kind is Kind.SMALLER and waited_enough):
        return Step.GIVE_UP
    return Step.AGAIN
