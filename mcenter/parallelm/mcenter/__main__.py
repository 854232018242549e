"""``python -m parallelm.mcenter``: how the supervisor starts the platform's own services."""

from parallelm.mcenter.main import main

main()
