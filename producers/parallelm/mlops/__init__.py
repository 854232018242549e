"""What a machine-learning component reports about itself, in two lines.

>>> from parallelm.mlops import mlops
>>> mlops.init()

Importing this needs nothing but the standard library; so does stand-alone mode.
"""

from parallelm.mlops._mlops import MLOps, mlops
from parallelm.mlops.constants import Constants, Versions
from parallelm.mlops.stats_category import StatCategory

version = __version__ = Versions.CURRENT
project_name = Constants.PROJECT_NAME
symlink_name = Constants.SYMLINK_NAME

__all__ = [
    "Constants",
    "MLOps",
    "StatCategory",
    "Versions",
    "__version__",
    "mlops",
    "project_name",
    "symlink_name",
    "version",
]
