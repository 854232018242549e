"""Names and versions that component code may refer to."""

from __future__ import annotations

from parallelm.mlops.mlops_exception import MLOpsException
from parallelm.mlops.stats._callers_values import is_text, quoted


class Constants:
    """Fixed names of the library."""

    OFFICIAL_NAME = "ml-ops"
    """Display name."""
    PROJECT_NAME = OFFICIAL_NAME
    SYMLINK_NAME = "mlops"


class Versions:
    """Versions of the public API. ``init(version=…)`` requests the one that a component was written for."""

    VERSION_0_0_9 = "0.0.9"
    VERSION_1_0_0 = "1.0.0"
    VERSION_1_0_1 = "1.0.1"
    VERSION_1_1_0 = "1.1.0"
    VERSION_1_1_1 = "1.1.1"
    VERSION_1_2_1 = "1.2.1"

    CURRENT = VERSION_1_2_1
    SUPPORTED = (VERSION_1_0_0, VERSION_1_0_1, VERSION_1_1_0, VERSION_1_1_1, VERSION_1_2_1)

    @classmethod
    def check(cls, version: str | None) -> None:
        """Raise ``MLOpsException`` unless this library supports ``version``; None is always supported."""
        if version is not None and not (is_text(version) and str.__str__(version) in cls.SUPPORTED):
            raise MLOpsException(
                f"version {quoted(version)} of the API is not supported; supported versions: {', '.join(cls.SUPPORTED)}"
            )
