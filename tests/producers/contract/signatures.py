"""Signatures as the contract writes them, held against what a callable takes."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

from parallelm.mlops.models.model import ModelFormat
from parallelm.mlops.stats_category import StatCategory
from parallelm.schemas.well_known import GENERIC_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = {
    "StatCategory": StatCategory,
    "ModelFormat": ModelFormat,
    "GenericEvent": GENERIC_EVENT,
    "Exception": Exception,
}
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def assert_takes(function: Callable[..., Any], written: str) -> None:
    """``function`` takes the arguments of ``written`` by position and by name, with their defaults.

    Further arguments of its own are optional; what the contract asks for may have a default.
    """
    promised = _promised(written)
    found = dict(inspect.signature(function).parameters)
    found.pop("self", None)
    positional = [name for name, parameter in found.items() if parameter.kind in _BY_POSITION]
    assert positional[: len(promised)] == list(promised), f"{function} takes {positional}"
    for name, default in promised.items():
        assert found[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD, name
        required = default is inspect.Parameter.empty
        assert required or found[name].default == default, f"{name} of {function} is {found[name].default!r}"
    for name in set(found) - set(promised):
        parameter = found[name]
        variable = parameter.kind in {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
        assert variable or parameter.default is not inspect.Parameter.empty, f"{function} asks for {name}"
    if "**" in written:
        assert inspect.Parameter.VAR_KEYWORD in {parameter.kind for parameter in found.values()}


def _promised(written: str) -> dict[str, Any]:
    """Names of the positional arguments and their defaults."""
    (function,) = ast.parse(f"def f({written}): ...").body
    assert isinstance(function, ast.FunctionDef)
    names = [argument.arg for argument in function.args.args]
    defaults = [
        eval(ast.unparse(default), _NAMES)  # noqa: S307 - of this test's own tables
        for default in function.args.defaults
    ]
    required = len(names) - len(defaults)
    return dict(zip(names, [inspect.Parameter.empty] * required + defaults, strict=True))
