"""Which model is deployed on which node, and why: pure, with no clock and no Kafka inside.

``state`` is what is remembered of an MLApp. Each module of inputs (``definitions``, ``announcements``, ``acceptance``,
``actions``, ``alerts``, ``measurements``, ``clock``) takes it with one thing that happened, and gives it back with the
transitions to send. ``policies`` says what a new model does first, ``analysis`` compares a canary with the live model.
"""
