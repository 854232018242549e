"""``email``: a mail over SMTP, whose ``Message-ID`` is the notification's id."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from parallelm.definitions.notifications.targets import TargetForm


def _address(text: str) -> str:
    name, at, host = text.rpartition("@")
    if not (name and at and host) or not text.isprintable() or any(sign in text for sign in " ,;<>"):
        raise ValueError("it must be one address, as in team@example.org")
    return text


Address = Annotated[str, AfterValidator(_address)]


class EmailForm(TargetForm, type_name="email"):
    """One mail to all addresses of ``to``."""

    to: list[Address] = Field(min_length=1)
    from_: Address = Field(alias="from")
    host: str = Field(min_length=1)
    port: int = Field(default=25, gt=0, lt=65536)
    security: Literal["none", "starttls", "tls"] = "starttls"
    user: str = ""
    password: str = ""
