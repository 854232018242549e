"""Where the nodes of an MLApp stand in a picture of them: from left to right, parents before children."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

WIDTH: Final = 240
HEIGHT: Final = 50
_ACROSS: Final = 90
_DOWN: Final = 22
_MARGIN: Final = 3
_LETTERS: Final = 26


@dataclass(frozen=True, slots=True)
class Node:
    """A node of an MLApp."""

    node_id: str
    title: str
    note: str
    parents: Sequence[str] = field(default=())
    consumes: Sequence[str] = field(default=())
    """Nodes whose models it is given."""
    link: str = ""
    kind: str = ""
    """How it fares: critical, warning, info or good; empty: nothing is known."""


@dataclass(frozen=True, slots=True)
class Box:
    """A node in the picture; ``x`` and ``y`` are its left upper corner."""

    node: Node
    x: int
    y: int

    @property
    def title(self) -> str:
        """As much of it as fits."""
        return _cut(self.node.title)

    @property
    def note(self) -> str:
        """As ``title``."""
        return _cut(self.node.note)


@dataclass(frozen=True, slots=True)
class NodeGraph:
    """A picture of nodes."""

    boxes: Sequence[Box]
    arrows: Sequence[tuple[str, bool]]
    """Paths of SVG; True: the way of models."""
    width: int
    height: int
    box_width: int = WIDTH
    box_height: int = HEIGHT


def place_nodes(nodes: Sequence[Node]) -> NodeGraph:
    """Boxes and arrows between them; an arrow that goes back, in a definition that is a circle, is drawn too."""
    columns = _columns(nodes)
    taken: dict[int, int] = {}
    boxes: dict[str, Box] = {}
    for node in nodes:
        column = columns[node.node_id]
        row = taken[column] = taken.get(column, -1) + 1
        x, y = _MARGIN + column * (WIDTH + _ACROSS), _MARGIN + row * (HEIGHT + _DOWN)
        boxes[node.node_id] = Box(node, x, y)
    arrows = [
        (_path(boxes[parent], box), of_models)
        for box in boxes.values()
        for parent, of_models in _before(box.node)
        if parent in boxes
    ]
    width = 2 * _MARGIN + (max(taken, default=0) + 1) * (WIDTH + _ACROSS) - _ACROSS
    height = 2 * _MARGIN + (max(taken.values(), default=0) + 1) * (HEIGHT + _DOWN) - _DOWN
    return NodeGraph(list(boxes.values()), arrows, width, height)


def _before(node: Node) -> list[tuple[str, bool]]:
    consumed = set(node.consumes)
    return [(each, each in consumed) for each in dict.fromkeys((*node.parents, *node.consumes))]


def _path(start: Box, end: Box) -> str:
    x, y = start.x + WIDTH, start.y + HEIGHT // 2
    to_x, to_y = end.x - 2, end.y + HEIGHT // 2
    bend = _ACROSS // 2
    return f"M{x} {y}C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"


def _columns(nodes: Sequence[Node]) -> dict[str, int]:
    """How many steps each node is from the start; in a circle the count ends."""
    before = {node.node_id: [each for each, _ in _before(node)] for node in nodes}
    columns = dict.fromkeys(before, 0)
    for _ in nodes:
        moved = {
            node_id: max((columns[each] + 1 for each in parents if each in columns), default=0)
            for node_id, parents in before.items()
        }
        if moved == columns:
            break
        columns = {node_id: min(column, len(nodes) - 1) for node_id, column in moved.items()}
    return columns


def _cut(text: str) -> str:
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
