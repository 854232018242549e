"""``key=value`` as a click parameter."""

from __future__ import annotations

import click


class KeyValue(click.ParamType):
    """``key=value`` to a pair of texts."""

    name = "key=value"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Split at the first ``=``."""
        if isinstance(value, tuple):
            return value
        key, sign, rest = value.partition("=")
        if not key or not sign:
            self.fail(f"{value!r} is not key=value", param, ctx)
        return key, rest


KEY_VALUE = KeyValue()
