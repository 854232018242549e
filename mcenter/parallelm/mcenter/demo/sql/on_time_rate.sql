SELECT event_time AS day, value
FROM kpis_current
WHERE mlapp_id = 'flight-delays' AND name = 'on-time rate'
ORDER BY day
