from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.operations.captures.installations import installation, seed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings
    from tests.made_once import MadeOnce
    from tests.sinks.conftest import Platform


@pytest.fixture(scope="module")
def source(
    stack: Settings, made_once: MadeOnce, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """The installation that captures are taken of."""
    with installation(stack, made_once, tmp_path_factory.mktemp("source")) as made:
        seed(made)
        yield made
