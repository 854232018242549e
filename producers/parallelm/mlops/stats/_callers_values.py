"""Safe use of callers' values, whose ``__eq__``, ``__bool__``, ``__repr__`` and the like may raise anything.

Every place that compares, formats, iterates or converts a caller's value goes through this module or through ``_values``,
so that an unusable value is refused with ``MLOpsException`` and no other exception reaches the host program.
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
    """The ``repr`` of a value for a message: short and valid UTF-8; the name of its type if ``repr`` fails."""
    try:
        text = _SHORT.repr(value)
    except Exception:  # noqa: BLE001 - building a message must not fail
        return f"a value of type {type_name(value)}"
    return printable(text)


def type_name(value: object) -> str:
    """Name of a value's type, for messages."""
    return printable(type.__dict__["__name__"].__get__(type(value)))


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a ``str``, by its type: ``isinstance`` would also ask the value for its class."""
    return issubclass(type(value), str)


def reason(error: BaseException) -> str:
    """Type and text of an exception, for a message; its type alone where the text cannot be shown."""
    try:
        return printable(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - as in ``quoted``
        return type_name(error)


def printable(text: str) -> str:
    """The text on one line, shortened, and without characters that a log or terminal cannot show."""
    short = str.__getitem__(text, slice(_LONGEST))
    return short.encode(errors="backslashreplace").decode()


def guarded(check: Callable[Concatenate[Any, str, P], T]) -> Callable[Concatenate[Any, str, P], T]:
    """Decorate ``check(value, what)``: exceptions of the value's own code become ``MLOpsException`` about ``what``."""

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
    """Decorate a class with public methods that take callers' values: foreign exceptions become ``MLOpsException``.

    Each argument has its own checks with better messages; this catches what they do not foresee, such as a value whose
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
        except ModuleNotFoundError as error:
            raise MLOpsException(
                f"this call needs {error.name}: pip install 'mcenter-stream[metrics]' ({error})"
            ) from error
        except Exception as error:
            raise MLOpsException(
                f"{method.__name__} cannot use what it was given: {reason(error)}"
            ) from error

    return call


@guarded
def truth(value: Any, what: str) -> bool:  # noqa: ARG001 - ``what`` is for the message
    """Truth of a value; raises ``MLOpsException`` if it has none, such as an array of two elements."""
    return bool(value)


@guarded
def attribute(value: Any, what: str, name: str, default: Any = None) -> Any:  # noqa: ARG001 - as ``truth``
    """An attribute of a value; ``default`` if it is missing."""
    return getattr(value, name, default)


@guarded
def octets(value: Any, what: str) -> bytes | None:  # noqa: ARG001 - as ``truth``
    """The bytes of a bytes-like value; None for any other."""
    if isinstance(value, (bytes, bytearray)):
        return b"".join((value,))  # unlike bytes(), does not call ``__bytes__`` of a subclass
    return value.tobytes() if isinstance(value, memoryview) else None


def distinct(names: Iterable[str], what: str) -> None:
    """Raise ``MLOpsException`` with the first duplicate name, since one of the two values would be lost."""
    seen = set[str]()
    for name in names:
        if name in seen:
            raise MLOpsException(f"{what} {quoted(name)} is given twice; each needs a name of its own")
        seen.add(name)
