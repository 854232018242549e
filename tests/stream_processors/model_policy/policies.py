"""The policies that the outcome table of the documentation names."""

from __future__ import annotations

_CANARY = """policy:
  model_policy: canary
  accept_timeout: 1h
  canary:
    %s
    metrics: [{metric: latency, direction: increase}]
    time_limit: 1d
"""

POLICIES = {
    "always": "policy: {model_policy: always_update}\n",
    "limited": "policy: {accept_timeout: 1h}\n",
    "all": "policy: {accept_timeout: 1h, accept: all}\n",
    "manual": "policy: {model_policy: manual}\n",
    "reviewed": "policy: {model_policy: manual, review_timeout: 1d}\n",
    "gated": """policy:
  gates:
    before: [{metric: accuracy, success_condition: ">= 0.9", wait: 10m}]
    after: [{metric: errors, success_condition: "<= 0.1"}]
""",
    "guarded": "policy: {rollback_on: [{rule: drift}]}\n",
    "guarded_calm": "policy: {cool_down: 6h, rollback_on: [{rule: drift}]}\n",
    "unsure": """policy:
  gates:
    after: [{metric: errors, success_condition: "<= 0.1", failure_condition: "> 0.5"}]
""",
    "calm": "policy: {cool_down: 6h}\n",
    "office": 'policy: {windows: [{cron: "0 8 * * *", duration: 9h}]}\n',
    "canary": _CANARY % "node: predict-canary",
    "share": _CANARY % "share: 0.5",
    "promoting": _CANARY % "node: predict-canary\n    at_time_limit: promote",
    "holding": _CANARY % "node: predict-canary\n    at_time_limit: hold",
    "weighted": (_CANARY % "node: predict-canary").replace(
        "}]", "}, {metric: errors, direction: increase, weight: 4}]"
    ),
    "predicting": "policy: {model_policy: canary, canary_threshold: 0.2, canary: {node: predict-canary}}\n",
    "guarded_canary": _CANARY % "node: predict-canary" + "  rollback_on: [{rule: drift}]\n",
}
