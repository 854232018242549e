SELECT
    what,
    rows,
    first_event,
    last_event,
    rows / greatest(dateDiff('millisecond', first_arrived, last_arrived) / 1000, 1) AS rows_per_second
FROM
(
    SELECT 1 AS number, 'statistics: samples of numbers' AS what, count() AS rows, min(event_time) AS first_event, max(event_time) AS last_event,
        min(ingested_at) AS first_arrived, max(ingested_at) AS last_arrived FROM statistics WHERE mlapp_id = 'flight-delays'
    UNION ALL
    SELECT 2 AS number, 'structured statistics: tables, graphs, histograms' AS what, count() AS rows, min(event_time) AS first_event, max(event_time) AS last_event,
        min(ingested_at) AS first_arrived, max(ingested_at) AS last_arrived FROM structured_statistics WHERE mlapp_id = 'flight-delays'
    UNION ALL
    SELECT 3 AS number, 'events' AS what, count() AS rows, min(event_time) AS first_event, max(event_time) AS last_event,
        min(ingested_at) AS first_arrived, max(ingested_at) AS last_arrived FROM events WHERE mlapp_id = 'flight-delays'
    UNION ALL
    SELECT 4 AS number, 'KPI points' AS what, count() AS rows, min(event_time) AS first_event, max(event_time) AS last_event,
        min(ingested_at) AS first_arrived, max(ingested_at) AS last_arrived FROM kpis WHERE mlapp_id = 'flight-delays'
    UNION ALL
    SELECT 5 AS number, 'models' AS what, count() AS rows, min(event_time) AS first_event, max(event_time) AS last_event,
        min(ingested_at) AS first_arrived, max(ingested_at) AS last_arrived FROM models WHERE mlapp_id = 'flight-delays'
    UNION ALL
    SELECT 6 AS number, 'deployment transitions' AS what, count() AS rows, min(event_time) AS first_event, max(event_time) AS last_event,
        min(ingested_at) AS first_arrived, max(ingested_at) AS last_arrived FROM deployment_transitions WHERE mlapp_id = 'flight-delays'
    UNION ALL
    SELECT 7 AS number, 'alert transitions' AS what, count() AS rows, min(event_time) AS first_event, max(event_time) AS last_event,
        min(ingested_at) AS first_arrived, max(ingested_at) AS last_arrived FROM alert_transitions WHERE mlapp_id = 'flight-delays'
)
ORDER BY number
