"""All lines of the contract, by name: the public name, and after it what of it the line shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.producers.contract.comparator_lines import COMPARATORS
from tests.producers.contract.event_lines import EVENTS
from tests.producers.contract.life_cycle_lines import LIFE_CYCLE
from tests.producers.contract.metric_lines import METRICS
from tests.producers.contract.model_lines import MODELS
from tests.producers.contract.question_lines import QUESTIONS
from tests.producers.contract.statistic_lines import STATISTICS

if TYPE_CHECKING:
    from tests.producers.contract.line import Line

TABLES: Final = (STATISTICS, METRICS, EVENTS, MODELS, LIFE_CYCLE, QUESTIONS, COMPARATORS)
LINES: Final[dict[str, Line]] = {name: line for table in TABLES for name, line in table.items()}
assert len(LINES) == sum(map(len, TABLES)), "a name twice"
