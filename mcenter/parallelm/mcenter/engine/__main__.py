"""``python -m parallelm.mcenter.engine``: own a data folder and serve it over TCP and HTTP until SIGTERM."""

from parallelm.supervision.service_frame import catch_signals

if __name__ == "__main__":
    catch_signals()
    from parallelm.mcenter.engine.command import main

    main(prog_name="python -m parallelm.mcenter.engine")
