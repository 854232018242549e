"""Using what a caller passed: its ``__eq__``, ``__bool__``, ``__repr__`` and the like are code of its own and may raise anything.

Every place that compares, formats, iterates or converts a caller's value goes through this module or through ``_values``,
so that a value that cannot be used is refused with ``MLOpsException`` and nothing else reaches the host program.
"""

from __future__ import annotations

import functools
import reprlib
from types import FunctionType
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeGuard, TypeVar

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

P = ParamSpec("P")
T = TypeVar("T")

_LONGEST: Final = 300
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 100
_SHORT.maxlevel = 2
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 4


def quoted(value: object) -> str:
    """The ``repr`` of a value for a message: short, valid UTF-8, and the name of its type where it has none."""
    try:
        text = _SHORT.repr(value)
    except Exception:  # noqa: BLE001 - a message is made in any case
        return f"a value of type {type_name(value)}"
    return printable(text)


def type_name(value: object) -> str:
    """Name of a value's type, for messages."""
    return printable(type.__dict__["__name__"].__get__(type(value)))


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a ``str``, by its type: ``isinstance`` asks the value for its class too."""
    return issubclass(type(value), str)


def reason(error: BaseException) -> str:
    """Type and text of an exception, for a message; its type alone where the text cannot be shown."""
    try:
        return printable(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - as in ``quoted``
        return type_name(error)


def printable(text: str) -> str:
    """Of any text one that can be written anywhere, and is not too long to be read."""
    short = str.__getitem__(text, slice(_LONGEST))
    return short.encode(errors="backslashreplace").decode()


def guarded(check: Callable[Concatenate[Any, str, P], T]) -> Callable[Concatenate[Any, str, P], T]:
    """Decorate ``check(value, what)``: whatever the value's own code raises becomes ``MLOpsException`` about ``what``."""

    @functools.wraps(check)
    def checked(value: Any, what: str, /, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return check(value, what, *args, **kwargs)
        except MLOpsException:
            raise
        except Exception as error:
            raise MLOpsException(
                f"{what} of type {type_name(value)} cannot be used: {reason(error)}"
            ) from error

    return checked


def refusing(part: type[T]) -> type[T]:
    """Decorate a class whose public methods take what callers pass: foreign exceptions become ``MLOpsException``.

    The checks of each argument say what is wrong with it; this is for what no check foresees, such as a value whose
    ``__class__`` raises.
    """
    for name, method in list(vars(part).items()):
        if isinstance(method, FunctionType) and not name.startswith("_"):
            setattr(part, name, refusing_call(method))
    return part


def refusing_call(method: Callable[P, T]) -> Callable[P, T]:
    """As ``refusing``, for one function or class."""

    @functools.wraps(method, updated=())
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except MLOpsException:
            raise
        except Exception as error:
            raise MLOpsException(
                f"{method.__name__} cannot use what it was given: {reason(error)}"
            ) from error

    return call


@guarded
def truth(value: Any, what: str) -> bool:  # noqa: ARG001 - ``what`` is for the message
    """Whether a value counts as true; raises ``MLOpsException`` for one that cannot say, such as an array of two."""
    return bool(value)


@guarded
def attribute(value: Any, what: str, name: str, default: Any = None) -> Any:  # noqa: ARG001 - as ``truth``
    """An attribute of a value, ``default`` where it has none."""
    return getattr(value, name, default)


@guarded
def octets(value: Any, what: str) -> bytes | None:  # noqa: ARG001 - as ``truth``
    """The bytes of a bytes-like value, None for any other."""
    if isinstance(value, (bytes, bytearray)):
        return b"".join((value,))  # unlike bytes(), asks no ``__bytes__`` of a subclass
    return value.tobytes() if isinstance(value, memoryview) else None


def distinct(names: Iterable[str], what: str) -> None:
    """Raise ``MLOpsException`` that names the first name that is given twice: one of the two would be lost."""
    seen = set[str]()
    for name in names:
        if name in seen:
            raise MLOpsException(f"{what} {quoted(name)} is given twice; each needs a name of its own")
        seen.add(name)
