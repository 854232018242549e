SELECT
    replaceOne(model.name, 'late arrivals ', '') AS model,
    deployment.state AS state,
    deployment.live_from AS live_from,
    deployment.live_to AS live_to,
    deployment.decided_reason AS why,
    deployment.ended_reason AS ended
FROM deployments_current AS deployment
INNER JOIN models AS model ON model.mlapp_id = deployment.mlapp_id AND model.model_id = deployment.model_id
WHERE deployment.mlapp_id = 'flight-delays' AND deployment.node_id = 'predict' AND deployment.live_from IS NOT NULL
ORDER BY deployment.requested_at
