"""Public names of Python modules: classes, functions, methods, each argument, members of enums, constants."""

from __future__ import annotations

import enum
import importlib
import inspect
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

OWN = "parallelm."


def public_modules(package: str) -> list[ModuleType]:
    """The package and every module in it whose path has no private part."""
    top = importlib.import_module(package)
    inner = pkgutil.walk_packages(top.__path__, f"{package}.")
    return [top, *(importlib.import_module(each.name) for each in inner if "._" not in each.name)]


def names_of(module: ModuleType) -> dict[str, str]:
    """Each public name of a module with its form, by its full path."""
    return {
        f"{module.__name__}.{name}": form
        for exported in _exported(module)
        for name, form in _entries(exported, getattr(module, exported))
    }


def _exported(module: ModuleType) -> list[str]:
    listed: list[str] | None = getattr(module, "__all__", None)
    if listed is not None:
        return listed
    return [
        name
        for name, found in vars(module).items()
        if not name.startswith("_") and (inspect.isclass(found) or inspect.isfunction(found))
        if not getattr(found, "_is_protocol", False)
        # What a module only imports belongs to another; what is in a private part is public here.
        if found.__module__ == module.__name__ or f"{found.__module__}".startswith(f"{module.__name__}._")
    ]


def _entries(name: str, found: Any) -> Iterator[tuple[str, str]]:
    if inspect.isclass(found):
        yield from _of_class(name, found)
    elif inspect.isfunction(found):
        yield from _of_call(name, found)
    else:
        yield name, repr(found) if isinstance(found, str | int | tuple) else type(found).__name__


def _of_class(name: str, found: type) -> Iterator[tuple[str, str]]:
    bases = ", ".join(base.__name__ for base in found.__mro__[1:] if not base.__name__.startswith("_"))
    if issubclass(found, enum.Enum):
        yield name, f"enum of {bases}"
        yield from ((f"{name}.{member.name}", repr(member.value)) for member in found)
    else:
        yield from _of_call(name, found, kind=f"class of {bases}")
    members = {
        member: value
        for owner in reversed(found.__mro__)
        if owner.__module__.startswith(OWN)
        for member, value in vars(owner).items()
    }
    for member, value in members.items():
        if member.startswith("_") or isinstance(value, enum.Enum):
            continue
        function = getattr(value, "__func__", value)
        if inspect.isfunction(function):
            yield from _of_call(f"{name}.{member}", function, kind=type(value).__name__)
        else:
            yield f"{name}.{member}", repr(value) if isinstance(value, str | int | float) else "attribute"


def _of_call(name: str, found: Any, kind: str = "function") -> Iterator[tuple[str, str]]:
    """What a call asks for is its form; each argument that may be left out is a name of its own."""
    try:
        arguments = list(inspect.signature(found).parameters.values())
    except ValueError:  # of exceptions that take what any exception takes
        yield name, kind
        return
    needed = [each.name for each in arguments if each.default is each.empty and each.kind < each.KEYWORD_ONLY]
    needed += [
        f"{each.name}=" for each in arguments if each.default is each.empty and each.kind is each.KEYWORD_ONLY
    ]
    yield name, f"{kind}, asks for {', '.join(needed) or 'nothing'}"
    for place, each in enumerate(arguments):
        if each.default is not each.empty:
            where = "by name" if each.kind is each.KEYWORD_ONLY else f"at {place}"
            yield f"{name}({each.name})", f"{where}, {_default(each.default)}"


def _default(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float | tuple | None) else type(value).__name__
