"""Where the platform is, as the profile of its components says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from parallelm.connections import Settings


def read_settings() -> Settings:
    """Settings of the platform, of its components' profile; raises ``MLOpsException`` where they are wrong."""
    from pathlib import Path

    from parallelm.connections.settings import ConfigurationError, component_settings_file, load_settings

    try:
        return load_settings(file=component_settings_file(os.environ, Path.cwd()))
    except ConfigurationError as error:
        raise MLOpsException(str(error)) from error
