"""What people say with an action, and how long they wait for the processors."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

MAX_COMMENT: Final = 5_000
Comment = Annotated[str, Field(max_length=MAX_COMMENT, examples=["seen with the team"])]
WaitS = Annotated[
    float, Query(alias="wait_s", gt=0, le=60, description="How long to wait for the processors, in seconds.")
]


class CommentRequest(BaseModel):
    """Why somebody does it."""

    model_config = ConfigDict(extra="forbid")

    comment: Comment = ""
