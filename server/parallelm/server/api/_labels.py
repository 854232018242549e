"""Labels in a question: ``label=carrier=AA``, repeated for several."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

AskedLabels = Annotated[
    list[Annotated[str, Query(pattern=r"^[^=]+=", max_length=1000)]] | None,
    Query(
        alias="label",
        max_length=50,
        description="`name=value`; repeated for several.",
        examples=[["carrier=AA"]],
    ),
]
"""Parameter of a handler; give it the default None."""
WithoutLabels = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=1000)]] | None,
    Query(max_length=50, description="Name of a label that is not there; repeated for several."),
]
"""Parameter of a handler; give it the default None."""


def labels_of(asked: list[str] | None) -> dict[str, str]:
    """By name."""
    return dict(each.split("=", 1) for each in asked or ())
