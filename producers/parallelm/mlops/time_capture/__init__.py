"""Timeline captures: an MLApp's state over a time range, read from one tar without a platform."""

from parallelm.mlops.time_capture.plot_functions import PlotFunctions
from parallelm.mlops.time_capture.time_capture import TimeCapture

__all__ = ["PlotFunctions", "TimeCapture"]
