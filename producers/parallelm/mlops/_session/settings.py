"""Settings of the platform for a component: with the reading user, and with a warning for misspelt variables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from parallelm.connections import Settings


def read_settings() -> Settings:
    """Settings of the platform; raises ``MLOpsException`` if they are wrong."""
    from parallelm.connections.settings import ConfigurationError, load_settings

    try:
        return load_settings(unknown_variables="warn")
    except ConfigurationError as error:
        raise MLOpsException(str(error)) from error


def warn_of_misspelt_variables() -> None:
    """Log each unknown ``MCENTER_…`` variable, once in a process."""
    if any(name.upper().startswith("MCENTER_") for name in os.environ):
        from parallelm.connections import settings

        settings.warn_of_misspelt_variables(os.environ)
