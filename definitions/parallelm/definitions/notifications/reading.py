"""From the text of the notifier's file to its rules, or to every mistake in it with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.connections.secrets import redacted
from parallelm.definitions.errors import DefinitionError
from parallelm.definitions.marked_yaml import read_marked
from parallelm.definitions.mistakes import one_of, shown
from parallelm.definitions.notifications.forms import NotificationsForm, ReceiverForm
from parallelm.definitions.notifications.targets import TARGET_FORMS, TargetForm
from parallelm.definitions.notifications.variables import Variables
from parallelm.definitions.sections import SectionReader, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from parallelm.definitions.marked_yaml import MarkedYaml, Path


def _nothing(_: object) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Checks:
    """What only the notifier can check: a sentence on what is wrong, or an empty text."""

    template: Callable[[str], str] = _nothing
    target: Callable[[TargetForm], str] = _nothing


@dataclass(frozen=True, slots=True)
class Receiver:
    """A receiver with its targets."""

    form: ReceiverForm
    targets: tuple[TargetForm, ...]
    secrets: tuple[str, ...] = field(repr=False)
    """Values of variables in them, which must not be shown."""

    def target_ids(self) -> dict[str, TargetForm]:
        """Targets by what they are called in messages and records: receiver, kind and number."""
        return {
            f"{self.form.name}/{target.type_name}/{number}": target
            for number, target in enumerate(self.targets)
        }


@dataclass(frozen=True, slots=True)
class NotificationRules:
    """A valid file."""

    form: NotificationsForm
    receivers: Mapping[str, Receiver]


def parse_notifications(
    text: str, source: str, environ: Mapping[str, str] | None, checks: Checks | None = None
) -> NotificationRules:
    """Rules of a notifier's file; raises ``DefinitionError`` with every mistake in it. ``source`` names the file there.

    ``environ`` gives the values of ``${NAME}``; None checks the rest only. No message shows such a value.
    """
    return _Reading(read_marked(text, source), Variables(environ), checks or Checks()).result(source)


class _Reading(SectionReader):
    """One notifier's file; no mistake shows a secret."""

    def __init__(self, document: MarkedYaml, variables: Variables, checks: Checks) -> None:
        super().__init__(document)
        self._variables = variables
        self._checks = checks

    def result(self, source: str) -> NotificationRules:
        raw = self._document.value
        top = self._form(NotificationsForm, raw, ())
        raw = raw if isinstance(raw, dict) else {}
        receivers = [
            self._receiver(receiver, ("receivers", at))
            for at, receiver in enumerate(listed(raw, "receivers"))
        ]
        self._check_names(raw)
        if self._problems or top is None:
            raise DefinitionError(source, list(dict.fromkeys(self._problems)))
        return NotificationRules(top, {found.form.name: found for found in receivers if found})

    def _receiver(self, raw: Any, where: Path) -> Receiver | None:
        if not isinstance(raw, dict):
            self._add(where, f"{shown(where)} must be a mapping of keys and values")
            return None
        form = self._form(ReceiverForm, raw, where)
        before = len(self._variables.secrets)
        targets = [
            self._target(target, (*where, "targets", at)) for at, target in enumerate(listed(raw, "targets"))
        ]
        for key in ("title", "body"):
            if isinstance(raw.get(key), str) and (wrong := self._checks.template(raw[key])):
                self._add((*where, key), f"{shown((*where, key))} is not a template: {wrong}")
        if form is None:
            return None
        return Receiver(
            form, tuple(found for found in targets if found), tuple(self._variables.secrets[before:])
        )

    def _target(self, raw: Any, where: Path) -> TargetForm | None:
        if not isinstance(raw, dict):
            self._add(where, f"{shown(where)} must be a mapping of keys and values")
            return None
        kind = raw.get("type")
        if not isinstance(kind, str) or kind not in TARGET_FORMS:
            what = (
                f"{shown((*where, 'type'))} is {kind!r}"
                if kind is not None
                else f"{shown(where)} has no type"
            )
            self._add((*where, "type"), one_of(what, str(kind), sorted(TARGET_FORMS)))
            return None
        known = len(self._variables.mistakes)
        values = self._variables.put_in(raw, where)
        missing = self._variables.mistakes[known:]
        for path, message in missing:
            self._add(path, message)
        form = self._form(TARGET_FORMS[kind], values, where) if not missing else None
        if form is not None and self._variables.environ is not None and (wrong := self._checks.target(form)):
            self._add(where, f"{shown(where)} cannot be used: {wrong}")
        return form

    def _check_names(self, raw: Mapping[str, Any]) -> None:
        names: dict[str, Path] = {}
        for at, receiver in enumerate(listed(raw, "receivers")):
            name = receiver.get("name") if isinstance(receiver, dict) else None
            if not isinstance(name, str):
                continue
            if name in names:
                self._add(("receivers", at, "name"), f"the receiver {name!r} is defined twice")
            names.setdefault(name, ("receivers", at))
        alerts = raw.get("alerts")
        if isinstance(alerts, dict) and alerts.get("receiver") is None:
            self._add(("alerts",), "alerts has no receiver: it is for all alerts that no route of it takes")
        seen: dict[str, Path] = {}
        for section in ("alerts", "deployments"):
            for path, route in _routes(raw.get(section), (section,)):
                self._check_route(path, route, names, seen)

    def _check_route(
        self, path: Path, route: Mapping[str, Any], receivers: Mapping[str, Path], seen: dict[str, Path]
    ) -> None:
        receiver, name = route.get("receiver"), route.get("name")
        if isinstance(receiver, str) and receiver not in receivers:
            self._add((*path, "receiver"), one_of(f"there is no receiver {receiver!r}", receiver, receivers))
        if isinstance(name, str) and name in seen:
            self._add((*path, "name"), f"the route {name!r} is defined twice")
        elif isinstance(name, str):
            seen[name] = path
        if len(path) == 1:
            for key in ("matchers", "continue"):
                if route.get(key):
                    message = f"{path[0]} must not have {key}: it takes everything that its routes do not"
                    self._add((*path, key), message, of_key=True)

    def _add(self, path: Path, message: str, *, of_key: bool = False) -> None:
        super()._add(path, redacted(message, *self._variables.secrets), of_key=of_key)


def _routes(raw: Any, path: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    if isinstance(raw, dict):
        yield path, raw
        for at, route in enumerate(listed(raw, "routes")):
            yield from _routes(route, (*path, "routes", at))
