"""The scheduler: which run of which node is due, which agent gets it, and what becomes of it. Pure; no Kafka, no clock.

State of an MLApp is in ``state``, one input's work on it in ``work``. Inputs: ``definition``, ``actions``, ``cycles`` (models,
events), ``reports`` of agents, ``clock`` (time and agents that came and went).
"""
