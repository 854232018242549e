"""``apprise``: any of the services that Apprise knows, by its URL."""

from __future__ import annotations

from pydantic import Field

from parallelm.definitions.notifications.targets import TargetForm


class AppriseForm(TargetForm, type_name="apprise"):
    """A URL as in Apprise's documentation: ``slack://…``, ``msteams://…``, ``json://…``."""

    url: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9+.-]*://")
