"""Waiting until what somebody has just done can be read: the topic has it at once, the warehouse about a second later."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from parallelm.server.problems import status_of

if TYPE_CHECKING:
    from collections.abc import Callable

STORED_S: Final = 8.0
"""The sink stores what was recorded within a second; nobody waits longer than this."""
_POLL_S: Final = 0.1


def stored(is_there: Callable[[], bool]) -> bool:
    """Whether the warehouse shows it in time: what is asked for next is of what somebody has just done.

    False, too, where it does not answer: what was done is done.
    """
    deadline = time.monotonic() + STORED_S
    try:
        while not is_there():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
    except Exception as error:
        if status_of(error) is not HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        return False
    return True
