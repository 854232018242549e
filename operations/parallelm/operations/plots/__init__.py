"""Pictures of an MLApp over time, drawn with matplotlib (``pip install 'mcenter-stream[plots]'``).

``plot_kpi`` asks the warehouse and draws; ``draw_timeline`` draws what ``parallelm.warehouse.queries.timeline`` returned. The
other modules hold what such pictures are made of: ``panels``, ``live_models``, ``alert_lanes``.
"""

from parallelm.operations.plots.kpi import TimelineFigure, draw_timeline, plot_kpi

__all__ = ["TimelineFigure", "draw_timeline", "plot_kpi"]
