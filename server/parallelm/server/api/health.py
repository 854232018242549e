"""Whether the server answers: for load balancers and supervisors."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel

ROUTER: Final = APIRouter(tags=["health"])


class Health(BaseModel):
    """It answers."""

    status: str = "ok"


@ROUTER.get("/health")
def health() -> Health:
    """Answer, without asking anything else."""
    return Health()
