"""The alert rules of an MLApp: in words, edited, tried on what was reported, and applied."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import HTMLResponse, Response

from parallelm.definitions import DefinitionError
from parallelm.operations.definitions import apply_definition, get_definition, validate_definition
from parallelm.operations.errors import (
    DefinitionChangedError,
    InvalidFileError,
    QuestionError,
    UnknownMLAppError,
)
from parallelm.operations.rules_in_words import rules_in_words
from parallelm.operations.rules_section import rules_section
from parallelm.server.access.dependencies import Asking, require
from parallelm.server.context import context_of
from parallelm.server.pages._mentioned import require_mentioned
from parallelm.server.pages.rendering import render
from parallelm.server.pages.time_range import TimeRange, time_range
from parallelm.server.pages.toasts import toast
from parallelm.server.rule_trials import bounded_trial

if TYPE_CHECKING:
    from parallelm.operations.rule_trials import RuleTrial
    from parallelm.operations.rules_section import RulesSection
    from parallelm.schemas.records import MLAppDefinition

ROUTER: Final = APIRouter(prefix="/mlapps/{mlapp_id}/alerts/rules")
_SHOWN: Final = 200
"""Episodes of a trial that are listed."""
Text = Annotated[str, Form(max_length=400_000)]


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, and in which line of the section that is edited."""

    line: int | None
    message: str


class _MistakenError(Exception):
    """The text is no section of rules."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__()
        self.mistakes = mistakes


@ROUTER.get("", dependencies=[Depends(require("mlapps.read"))])
def rules(request: Request, mlapp_id: str) -> HTMLResponse:
    """The rules that are in force, in words and as they are written."""
    settings = context_of(request).settings
    try:
        definition = get_definition(settings, mlapp_id)
    except UnknownMLAppError:
        require_mentioned(settings, mlapp_id)
        return render(request, "alerts/no_rules.html", {"mlapp_id": mlapp_id})
    return render(request, "alerts/rules.html", _known(mlapp_id, definition))


@ROUTER.post("/check", dependencies=[Depends(require("mlapps.read"))])
def check(request: Request, mlapp_id: str, text: Text = "") -> HTMLResponse:
    """What the validator says of the text as it is."""
    definition = get_definition(context_of(request).settings, mlapp_id)
    try:
        edited = _edited(rules_section(definition.source_yaml), text, mlapp_id)
    except _MistakenError as error:
        return _part(request, mistakes=error.mistakes)
    return _part(request, valid=f"{len(edited.rules)} rules, valid")


@ROUTER.post("/test", dependencies=[Depends(require("mlapps.read"))])
def try_on_history(
    request: Request,
    mlapp_id: str,
    text: Text = "",
    rule: Annotated[str, Form()] = "",
    start: Annotated[str, Form(alias="from")] = "",
    end: Annotated[str, Form(alias="to")] = "",
) -> HTMLResponse:
    """When the rules as they are written would have fired on what was reported."""
    settings = context_of(request).settings
    definition = get_definition(settings, mlapp_id)
    try:
        edited = _edited(rules_section(definition.source_yaml), text, mlapp_id)
        shown = time_range(start, end)
        trial = bounded_trial(request, edited, start=shown.start, end=shown.end, rule=rule or None)
    except _MistakenError as error:
        return _part(request, mistakes=error.mistakes)
    except QuestionError as error:
        return _part(request, mistakes=[Mistake(None, str(error))])
    return _part(request, trial=trial, shown=shown)


@ROUTER.post("/apply", dependencies=[Depends(require("mlapps.write"))])
def apply(
    request: Request, asking: Asking, mlapp_id: str, version: Annotated[int, Form()], text: Text = ""
) -> Response:
    """Make them the rules of the MLApp, unless somebody has applied another version meanwhile."""
    settings = context_of(request).settings
    definition = get_definition(settings, mlapp_id)
    try:
        edited = _edited(rules_section(definition.source_yaml), text, mlapp_id)
        applied = apply_definition(settings, edited, who=asking.author, base_version=version)
    except _MistakenError as error:
        return toast(
            "The rules are not valid: nothing was applied.", _part(request, mistakes=error.mistakes), "error"
        )
    except DefinitionChangedError as error:
        return toast("Nothing was applied.", _part(request, mistakes=[Mistake(None, str(error))]), "error")
    said = f"Version {applied.definition.version} is in force." if applied.is_new else "Nothing differs."
    answer = toast(said)
    if applied.is_new:
        answer.headers["HX-Refresh"] = "true"
    return answer


def _edited(section: RulesSection, text: str, mlapp_id: str) -> MLAppDefinition:
    """The definition with these rules; raises ``_MistakenError``."""
    text = text.replace("\r\n", "\n")
    source = section.replaced(text)
    try:
        edited = validate_definition(source.encode(), "alerts")
    except InvalidFileError as error:
        mistaken = error.__cause__
        if not isinstance(mistaken, DefinitionError):
            raise _MistakenError([Mistake(None, str(error))]) from error
        raise _MistakenError(
            [Mistake(section.line_in_section(each.line, text), each.message) for each in mistaken.problems]
        ) from error
    if edited.mlapp_id != mlapp_id or rules_section(source).before != section.before:
        raise _MistakenError(
            [Mistake(None, "write the section alerts and nothing else; the rest is the MLApp's definition")]
        )
    return replace(edited)


def _part(
    request: Request,
    *,
    mistakes: list[Mistake] | None = None,
    valid: str = "",
    trial: RuleTrial | None = None,
    shown: TimeRange | None = None,
) -> HTMLResponse:
    values = {"mistakes": mistakes or [], "valid": valid, "trial": trial, "shown": shown, "limit": _SHOWN}
    return render(request, "alerts/_rules_answer.html", values)


def _known(mlapp_id: str, definition: MLAppDefinition) -> dict[str, Any]:
    try:
        words, trouble = rules_in_words(definition), ""
    except QuestionError as error:
        words, trouble = [], str(error)
    return {
        "mlapp_id": mlapp_id,
        "definition": definition,
        "words": words,
        "trouble": trouble,
        "section": rules_section(definition.source_yaml).text,
    }
