/* The series that parallelm.warehouse.queries.correlate weighs, as `mcenter correlate` does: one value a day.
   Counts are summed, other statistics averaged. Season and trend are removed from these before they are compared at each lag. */
SELECT
    'KPI' AS kind, '' AS node_id, name, toString(labels) AS labels, toDate(event_time) AS day,
    avg(value) AS mean_value, sum(value) AS total
FROM kpis_current
WHERE mlapp_id = 'flight-delays' AND name = 'on-time rate'
GROUP BY name, labels, day
UNION ALL
SELECT
    'statistic' AS kind, node_id, name, toString(labels) AS labels, toDate(bucket_start) AS day,
    sum(sum_value) / sum(samples) AS mean_value, sum(sum_value) AS total
FROM statistics_by_day
WHERE mlapp_id = 'flight-delays'
GROUP BY node_id, name, labels, day
ORDER BY kind, node_id, name, labels, day
