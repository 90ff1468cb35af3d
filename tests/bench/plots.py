"""The SVG of a benchmark: bars with a point for each round, or lines."""

import statistics

_SETTINGS = {
    "svg.hashsalt": "riskscan",  # ids of the drawing's parts are random without it
    "svg.fonttype": "none",  # text stays text
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def save(path, title, panels):
    """Draw each panel, top to bottom, and write them as one SVG."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only drawing needs it
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415 - pyplot would keep every figure

    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(8, 0.6 + 3 * len(panels)), layout="constrained")
        FigureCanvasAgg(figure)
        figure.suptitle(title)
        axes = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axis, draw in zip(axes, panels, strict=True):
            draw(axis)
        figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")


def bars(rounds_by_name, label):
    """Return a panel of horizontal bars: the medians, with a point for each round."""

    def draw(axis):
        names = list(rounds_by_name)[::-1]
        axis.barh(names, [statistics.median(rounds_by_name[n]) for n in names], color="lightgrey")
        for name in names:
            values = rounds_by_name[name]
            axis.plot(values, [name] * len(values), "o", color="black", markersize=3)
        axis.set_xlabel(label)

    return draw


def lines(series, *, xlabel, ylabel, is_log=False):
    """Return a panel of lines: `series` maps names to (x, y)."""

    def draw(axis):
        for name, (x, y) in series.items():
            axis.plot(x, y, marker="o", markersize=3, label=name)
        axis.set(xlabel=xlabel, ylabel=ylabel)
        axis.set_ylim(bottom=0)
        if is_log:
            axis.set_xscale("log")
        if len(series) > 1:
            axis.legend()

    return draw
