"""Where the platform is: read for a component, which only reads, and whose host program no misspelt variable ends."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from parallelm.connections import Settings


def read_settings() -> Settings:
    """Settings of the platform; raises ``MLOpsException`` where they are wrong."""
    from parallelm.connections.settings import ConfigurationError, load_settings

    try:
        return load_settings(unknown_variables="warn")
    except ConfigurationError as error:
        raise MLOpsException(str(error)) from error


def warn_of_misspelt_variables() -> None:
    """Log each ``MCENTER_…`` variable that is none, once in a process."""
    if any(name.upper().startswith("MCENTER_") for name in os.environ):
        from parallelm.connections import settings

        settings.warn_of_misspelt_variables(os.environ)
