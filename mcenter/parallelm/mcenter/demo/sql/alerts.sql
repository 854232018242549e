WITH
    (
        SELECT groupArray(live_from)
        FROM deployments_current
        WHERE mlapp_id = 'flight-delays' AND node_id = 'predict' AND live_from IS NOT NULL
    ) AS new_models,
    told_of AS
    (
        SELECT DISTINCT transition.alert_id
        FROM alert_transitions AS transition
        WHERE transition.mlapp_id = 'flight-delays'
            AND transition.transition_id IN (SELECT arrayJoin(transition_ids) FROM notifications)
    )
SELECT
    if(alert.rule_type = 'health', concat(alert.rule, ': ', alert.labels['feature']), alert.rule) AS alert,
    replaceOne(model.name, 'late arrivals ', '') AS model,
    alert.severity AS severity,
    alert.started_at AS started,
    alert.fired_at AS fired,
    alert.resolved_at AS resolved,
    toBool(ifNull(arrayExists(at -> at > alert.fired_at AND at <= alert.resolved_at, new_models), false)) AS settled_by_new_model,
    toBool(alert.alert_id IN (told_of)) AS told,
    alert.fired_reason AS why,
    alert.resolved_reason AS why_resolved,
    alert.alert_id AS alert_id
FROM alerts_current AS alert
LEFT JOIN models AS model ON model.mlapp_id = alert.mlapp_id AND model.model_id = alert.model_id
WHERE alert.mlapp_id = 'flight-delays' AND alert.fired_at IS NOT NULL
ORDER BY fired, alert
