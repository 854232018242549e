"""Names that users depend on, each kind from the place where the product has them."""

from __future__ import annotations

import hashlib
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

import click

from parallelm.connections import Settings
from parallelm.connections.secret_files import names as secret_file_names
from parallelm.connections.settings import ENVIRONMENT_PREFIX, setting_names
from parallelm.connections.variables import NOT_SETTINGS, OF_STEPS
from parallelm.definitions.components import ComponentForm
from parallelm.definitions.form import Form
from parallelm.definitions.mlapp import MLAppForm, NodeForm
from parallelm.definitions.notifications import TARGET_FORMS, NotificationsForm
from parallelm.definitions.policies import POLICY_FORMS
from parallelm.definitions.rules import RULE_FORMS
from parallelm.mcenter.cli import cli
from parallelm.mcenter.command_folder import FolderGroup
from parallelm.schemas import packaged
from parallelm.schemas.topics import CATALOGUE
from parallelm.server import accounts
from parallelm.server.access.matrix import ACTIONS, ROLES
from parallelm.warehouse.catalogue import catalogue
from parallelm.warehouse.migrations import packaged_migrations
from tests.released.names_of_python import names_of, public_modules
from tests.released.snapshot import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.schemas.topics import Topic


def topics() -> dict[str, str]:
    """Partition counts where they never change, keys, clean-up."""
    return {
        topic.name: f"{_partitions(topic)}, keyed by {topic.keyed_by.name}, {topic.config['cleanup.policy']}, "
        + topic.record.__name__
        for topic in CATALOGUE
    }


def _partitions(topic: Topic) -> str:
    return (
        f"{topic.partitions} partitions" if topic.control or topic.compacted else "any number of partitions"
    )


def schemas() -> dict[str, str]:
    """Ids on the wire of every version of every record."""
    return {
        f"{schema.record}.{schema.version}": str(schema.schema_id) for schema in packaged.by_id().values()
    }


def golden_files() -> dict[str, str]:
    """Of bytes and fingerprints that were written once."""
    return {
        path.name: _digest(path.read_text())
        for path in (REPOSITORY / "tests" / "schemas" / "golden").iterdir()
    }


def settings() -> dict[str, str]:
    """Settings with their types, and the variables that are none."""
    found = {}
    for section, kind in get_type_hints(Settings).items():
        types = get_type_hints(kind)
        for name in (*setting_names(kind), *secret_file_names(kind)):
            form = types.get(name, str)
            found[f"{ENVIRONMENT_PREFIX}{section}_{name}".upper()] = getattr(form, "__name__", str(form))
    ours = re.compile(r"MCENTER_(TEST|BENCH|WRITE)_")
    return found | {name: "no setting" for name in (*NOT_SETTINGS, *OF_STEPS) if not ours.match(name)}


def commands() -> dict[str, str]:
    """Commands with what they ask for, options and choices."""
    return dict(_commands(cli, "mcenter"))


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    asked = [parameter for parameter in command.params if parameter.required]
    form = " ".join(each.opts[0] if isinstance(each, click.Option) else each.name or "" for each in asked)
    default = f"{command._default} when none is named" if isinstance(command, FolderGroup) else ""
    yield name, form or default
    for place, parameter in enumerate(command.params):
        if getattr(parameter, "hidden", False):
            continue
        if isinstance(parameter, click.Option):
            spellings = [*parameter.opts, *parameter.secondary_opts]
            kind = "flag" if parameter.is_flag else parameter.type.name
        else:
            spellings, kind = [f"[{parameter.name}]"], f"argument {place}, {parameter.type.name}"
        for spelling in spellings:
            yield (
                f"{name} {spelling}",
                kind
                + ", many"
                * (parameter.multiple if isinstance(parameter, click.Option) else parameter.nargs != 1),
            )
        if isinstance(parameter.type, click.Choice):
            yield from ((f"{name} {spellings[0]} {choice}", "choice") for choice in parameter.type.choices)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for each in command.list_commands(context):
            inner = command.get_command(context, each)
            assert inner is not None
            yield from _commands(inner, f"{name} {each}")


def exit_codes() -> dict[str, str]:
    """As documented."""
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    table = page.partition("| exit code |")[2].partition("\n\n")[0]
    return dict.fromkeys(re.findall(r"^\| (\d[^|]*) \|", table, re.MULTILINE), "exit code")


def access() -> dict[str, str]:
    """Roles, and actions as they are named in the scopes of tokens."""
    return dict.fromkeys(ROLES, "role") | dict.fromkeys(ACTIONS, "action")


def definition_keys() -> dict[str, str]:
    """Keys of the files that users write, by where they stand."""
    forms: dict[str, type[Form]] = {
        "mlapp": MLAppForm,
        "node": NodeForm,
        "component": ComponentForm,
        "notifications": NotificationsForm,
    }
    forms |= {f"rule {name}": form for name, form in RULE_FORMS.items()}
    forms |= {f"policy {name}": form for name, form in POLICY_FORMS.items()}
    forms |= {f"target {name}": form for name, form in TARGET_FORMS.items()}
    return {key: value for name, form in forms.items() for key, value in _keys(form, name, ())}


def _keys(form: type[Form], where: str, around: tuple[type[Form], ...]) -> Iterator[tuple[str, str]]:
    for name, field in form.model_fields.items():
        key = f"{where}: {field.alias or name}"
        yield key, "required" if field.is_required() else "optional"
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, Form) and part not in (*around, form):
                yield from _keys(part, key, (*around, form))
            elif isinstance(part, str):
                yield f"{key} {part}", "choice"


def _parts(annotation: Any) -> Iterator[Any]:
    """Forms and texts that are in an annotation."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif arguments := get_args(annotation):
        for argument in arguments:
            yield from _parts(argument)
    else:
        yield annotation


def library() -> dict[str, str]:
    """Of the component library, and what analysts import; the sections of settings are in ``settings``."""
    modules = [
        *public_modules("parallelm.mlops"),
        *(importlib.import_module(name) for name in ("parallelm.connections", "parallelm.warehouse.queries")),
    ]
    found = {name: form for module in modules for name, form in names_of(module).items()}
    return {
        name: form
        for name, form in found.items()
        if not re.match(r"parallelm\.connections\.\w*Settings", name)
    }


def tables(settings: Settings) -> dict[str, str]:
    """Tables and views for analysts with their columns, parameters and types."""
    found = {}
    for relation in catalogue(settings):
        if not relation.is_internal:
            asked = ", ".join(f"{name} {kind}" for name, kind in relation.parameters)
            found[relation.name] = f"asks for {asked}" if asked else "table or view"
            found |= {f"{relation.name}.{column.name}": column.type for column in relation.columns}
    return found


def migrations() -> dict[str, str]:
    """Digests of the warehouse's files, as databases record them and as they are rendered, and of the accounts' files."""
    found = {}
    for migration in packaged_migrations():
        name = f"{migration.version:04} {migration.name}"
        found[name] = migration.sha256
        for where, cluster in (("one server", ""), ("cluster", "c")):
            found[f"{name}, {where}"] = _digest("\0".join(migration.statements(cluster)))
    versions = Path(accounts.__path__[0]) / "migrations" / "versions"
    return found | {f"accounts {path.stem}": _digest(path.read_text()) for path in versions.glob("v*.py")}


def rest(contract: Mapping[str, Any]) -> dict[str, str]:
    """Calls of an OpenAPI document with what they ask for, and the fields of what is sent and answered."""
    found = {}
    for path, operations in contract["paths"].items():
        for method, operation in operations.items():
            call = f"{method.upper()} {path}"
            given = operation.get("parameters", [])
            asked = [each["name"] for each in given if each.get("required")]
            found[call] = ", ".join([operation["operationId"], *asked])
            for each in given:
                found[f"{call} {each['name']}"] = f"{each['in']}, {_type(each['schema'])}"
                found |= {f"{call} {each['name']} {value}": "choice" for value in _choices(each["schema"])}
            for content, media in operation.get("requestBody", {}).get("content", {}).items():
                found[f"{call} takes {content}"] = _type(media.get("schema", {}))
            for status, answer in operation["responses"].items():
                contents = answer.get("content", {})
                forms = [
                    f"{content}, {_type(media.get('schema', {}))}" for content, media in contents.items()
                ]
                found[f"{call} answers {status}"] = "; ".join(sorted(forms)) or "nothing"
    for name, schema in contract["components"]["schemas"].items():
        found[f"{name}:"] = ", ".join(schema.get("required", [])) or "nothing is required"
        for field, described in schema.get("properties", {}).items():
            found[f"{name}: {field}"] = _type(described)
            found |= {f"{name}: {field} {value}": "choice" for value in _choices(described)}
        found |= {f"{name} {value}": "choice" for value in schema.get("enum", [])}
    return found


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    kind = str(schema.get("type", "any"))
    return f"{kind} of {_type(schema['items'])}" if "items" in schema else kind


def _choices(schema: Mapping[str, Any]) -> Iterator[str]:
    """Texts of which a value is one."""
    yield from schema.get("enum", [])
    if "const" in schema:
        yield schema["const"]
    for each in [*schema.get("anyOf", []), *([schema["items"]] if "items" in schema else [])]:
        yield from _choices(each)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
