"""The calls of the REST API and what they send stay; here, where a server describes itself already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.released import names
from tests.released.snapshot import check

if TYPE_CHECKING:
    import httpx


def test_calls_and_fields_are_those_that_were_committed(client: httpx.Client) -> None:
    check("rest", names.rest(client.get("/api/v1/openapi.json").json()))
