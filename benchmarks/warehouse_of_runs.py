"""Runs, agents and a long log in ClickHouse, as the sinks of an installation that has worked for a year have left them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from clickhouse_driver import Client

RUNS: Final = 100_000
AGENTS: Final = 1_000
LINES: Final = 100_000
MLAPP: Final = "app-7"
"""Half of all runs are its own."""
CHATTY: Final = "chatty0000000000"
"""A run of it that has written so many lines."""
_RUNNING_JSON: Final = (
    '{"schedule": {"cron": "*/10 * * * *", "timezone": "UTC"}, "steps": [{"command": "python train.py"}]}'
)
_DEFINITION: Final = """
INSERT INTO mlapps (mlapp_id, event_time, name, version, model_policy, applied_by, stage, nodes.node_id, nodes.name,
    nodes.type, nodes.mode, nodes.schedule, nodes.pipeline, nodes.parents, nodes.consumes, nodes.running_json, source_yaml,
    ingested_at, _offset)
SELECT 'app-' || toString(number), now64(3), 'Application', 2, 'manual', 'ada', 'production', ['train', 'predict'],
    ['Train', 'Predict'], ['model_producer', 'model_consumer'], ['offline', 'online'], ['', ''], ['', ''], [[], ['train']],
    [[], ['train']], [{running}, '{{"steps": [{{"command": "python predict.py"}}]}}'], '', now64(3), 1000000 + number
FROM numbers(1000)
"""
_TRANSITIONS: Final = """
INSERT INTO run_transitions_log (mlapp_id, event_time, decided_at, transition_id, node_id, pipeline_instance_id, run_id,
    attempt, state, previous_state, agent_id, reason, trigger, trigger_id, due_at, definition_version, starts, ingested_at,
    _topic, _topic_id, _partition, _offset)
WITH ['waiting', 'assigned', 'running', if(run % 50 = 7, 'failed', 'succeeded')] AS states,
    now64(3) - toIntervalSecond(intDiv(run * 31536000, {runs})) AS due
SELECT mlapp_id, at, at, hex(sipHash128(run, step)), node_id, mlapp_id || '.' || node_id, hex(sipHash64(run)) AS run_id, 1,
    states[step + 1], if(step = 0, 'unknown', states[step]), if(step = 0, '', 'agent-' || toString(run % {agents})),
    'because of its schedule', if(is_service, 'service', 'schedule'), toString(run), due, 1, step >= 2, at, 'mlops.runs', 'id', 0,
    run * 4 + step
FROM (
    SELECT intDiv(number, 4) + {first} AS run, number % 4 AS step, run < 3 * {agents} AS is_service,
        if(run % 2 = 0, '{mlapp}', 'app-' || toString(run % 1000)) AS mlapp_id,
        if(is_service, 'predict', 'train') AS node_id,
        now64(3) - toIntervalSecond(intDiv(run * 31536000, {runs})) + toIntervalSecond(step * 60) AS at
    FROM numbers({count})
)
WHERE NOT (is_service AND step = 3)
"""
_AGENTS: Final = """
INSERT INTO agents (agent_id, event_time, hostname, version, labels, pipelines.mlapp_id, pipelines.node_id,
    pipelines.pipeline_instance_id, pipelines.state, pipelines.pid, pipelines.since, pipelines.message, pipelines.run_id,
    pipelines.attempt, state, epoch, installation_id, cpus, memory_bytes, runners, ingested_at, _offset)
SELECT 'agent-' || toString(number % {agents}), now64(3), 'host-' || toString(number % {agents}), '1.0', map('zone', 'eu'),
    ['{mlapp}'], ['predict'], ['{mlapp}.predict'], ['running'], [4711], [now64(3)], [''], [hex(sipHash64(number % {agents}))],
    [1], 'ready', 1, 'i', 4, 16000000000, ['process'], now64(3), number
FROM numbers({reports})
"""
_LOADS: Final = """
INSERT INTO statistics (mlapp_id, name, node_id, model_id, labels, event_time, value, agent_id, pipeline_instance_id, category,
    graph_type, producer_id, seq, ingested_at, _topic, _topic_id, _partition, _offset, _series, _index)
SELECT 'hosts', ['host.cpu_percent', 'host.memory_percent', 'host.disk_percent'][number % 3 + 1], 'host', '', map(),
    now64(3) - toIntervalSecond(60 * intDiv(number, 3 * {agents})), rand() / 42949672.96, 'agent-' || toString(intDiv(number, 3) % {agents}),
    '', 'TIME_SERIES', 'LINEGRAPH', 'p', number, now64(3), 'mlops.statistics', 'id', 0, number, 0, 0
FROM numbers({loads})
"""
_LOG: Final = """
INSERT INTO logs (mlapp_id, node_id, pipeline_instance_id, agent_id, run_id, attempt, line, event_time, stream, text,
    ingested_at, _topic, _topic_id, _partition, _offset)
SELECT '{mlapp}', 'predict', 'p', 'agent-1', '{run}', 1, number + 1, now64(3), 'stdout',
    'scored customer ' || toString(number) || ' in 17 ms', now64(3), 'mlops.logs', 'id', 0, number
FROM numbers({lines})
"""
_CHATTY: Final = """
INSERT INTO run_transitions_log (mlapp_id, event_time, decided_at, transition_id, node_id, run_id, attempt, state,
    previous_state, agent_id, trigger, due_at, starts, ingested_at, _offset)
SELECT '{mlapp}', now64(3), now64(3), 'chatty', 'predict', '{run}', 1, 'running', 'assigned', 'agent-1', 'service', now64(3), 1,
    now64(3), 10000000
"""


def fill_runs(client: Client) -> None:
    """Runs of a year, those of services still going on; agents; their load of the last hours; a log."""
    sizes = {"runs": RUNS, "agents": AGENTS, "mlapp": MLAPP, "run": CHATTY, "lines": LINES}
    client.execute(_DEFINITION.format(running="%(running)s"), {"running": _RUNNING_JSON})
    for first in range(0, RUNS, RUNS // 4):
        client.execute(_TRANSITIONS.format(first=first, count=RUNS, **sizes))
    client.execute(_CHATTY.format(**sizes))
    client.execute(_AGENTS.format(reports=20 * AGENTS, **sizes))
    client.execute(_LOADS.format(loads=3 * AGENTS * 120, **sizes))
    client.execute(_LOG.format(**sizes))
