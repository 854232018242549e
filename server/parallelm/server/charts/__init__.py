"""Charts as JSON, built from data by pure functions; ``static/charts.js`` draws them with ECharts.

A ``Drawing`` is what one chart shows. Its JSON has the keys ``option`` (of ECharts; null: the table is shown instead),
``summary`` (the chart in a sentence, for those who cannot see it), ``notes`` (what is not shown), ``has_table`` and, where it is
asked for with ``table=1``, ``table`` (the same numbers: ``columns``, ``rows``), ``zoom`` (dragging over it chooses the page's time
range), ``zone`` and ``height``.

What JSON cannot hold the option names: colours as ``var(--name)`` of the style sheet, functions by the names that
``charts.js`` knows. Times are those of the viewer's clock, in milliseconds as if that clock showed UTC (``wall_ms``).

    drawing     the form, and what all charts have in common
    pieces      what of it a browser has already
    packing     the bytes of an answer
    lines       series over time, with the range of each bucket
    bars        bar graphs, histograms, two histograms over each other
    graphs      general graphs with annotations
    nodes       where the nodes of an MLApp stand in a picture of them (SVG in the page)
    tables      tables and matrices, heat maps
    lanes       models, alerts and other things that last, and marks, on a time axis
    statistics  which of these a reported statistic is drawn by
"""
