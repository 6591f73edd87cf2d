#!/usr/bin/env python3
"""Draws what was traced and makes a page of it: report.py DIRECTORY, which holds trace.txt, ext4.txt and devices."""

import html
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402  (the drawing back end must be chosen first)

REASONS = {
    "not-adjacent": "#c0392b",
    "full": "#2e6da4",
    "hole": "#8e44ad",
    "boundary": "#d68910",
    "eof": "#4f9d4f",
    "window-end": "#16a085",
    "gap": "#e377c2",
    "metadata and others": "#888888",
}
DRIVERS = {"rext2": "#c0392b", "ext4": "#2e6da4"}
EVENT = re.compile(r"^\s*(?P<task>.+)-\d+\s+\[\d+\].*?\s(?P<time>\d+\.\d+): +(?P<name>\w+): +(?P<text>.*)$")
QUEUED = re.compile(r"^(?P<dev>\d+,\d+) (?P<op>[RW])\w* (?P<sector>\d+) \+ (?P<count>\d+) ")
SENT = re.compile(r"sector (?P<sector>\d+) bytes (?P<bytes>\d+) .*reason (?P<reason>\S+)")
ADDED = re.compile(r"^dev (?P<dev>\d+:\d+) .*order=(?P<order>\d+)")


@dataclass(frozen=True)
class Bio:
    """A bio on its way: seconds since the first, 512-byte sectors."""

    time: float
    write: bool
    sector: int
    sectors: int
    reason: str


@dataclass
class Trace:
    """What one driver did to its volume."""

    bios: list[Bio] = field(default_factory=list)
    orders: Counter[int] = field(default_factory=Counter)


def parse(path: Path, device: str) -> Trace:
    """Reads the text of a trace. The engine tells of a bio right before the block layer does."""
    trace = Trace()
    reasons: dict[int, str] = {}
    with path.open(errors="replace") as lines:
        for line in lines:
            event = EVENT.match(line)
            if event is None:
                continue
            name, text = event["name"], event["text"]
            if name == "mpage_bio" and (sent := SENT.search(text)):
                reasons[int(sent["sector"])] = sent["reason"]
            elif name == "block_bio_queue" and (bio := QUEUED.match(text)) and bio["dev"] == device.replace(":", ","):
                sector = int(bio["sector"])
                reason = reasons.pop(sector, "metadata and others")
                trace.bios.append(Bio(float(event["time"]), bio["op"] == "W", sector, int(bio["count"]), reason))
            elif name == "mm_filemap_add_to_page_cache" and (added := ADDED.match(text)) and added["dev"] == device:
                trace.orders[int(added["order"])] += 1
    return trace


def draw_time(traces: dict[str, Trace]) -> Any:
    """Sector against time; each bio is as tall as it is long."""
    figure, axes = pyplot.subplots(len(traces), 1, figsize=(10, 7))
    for axis, (driver, trace) in zip(axes, traces.items()):
        start = min((bio.time for bio in trace.bios), default=0.0)
        for reason, colour in REASONS.items():
            for write in (False, True):
                bios = [bio for bio in trace.bios if bio.reason == reason and bio.write == write]
                if not bios:
                    continue
                times = [(bio.time - start) * 1000 for bio in bios]
                label = reason if driver == "rext2" else "the driver does not say why"
                axis.vlines(times, [b.sector for b in bios], [b.sector + b.sectors for b in bios], colour, linewidth=2)
                axis.plot(times, [b.sector for b in bios], "^" if write else "o", color=colour, markersize=4,
                          label=f"{'write' if write else 'read'}: {label}")
        axis.set_title(f"{driver}: {len(trace.bios)} bios", loc="left")
        axis.set_ylabel("sector (512 bytes)")
        if trace.bios:
            axis.legend(fontsize=8)
    axes[-1].set_xlabel("milliseconds since the first bio")
    return figure


def draw_bars(counts: dict[str, Counter[int]], what: str, name: Any) -> Any:
    """Bars for each driver, side by side, over powers of two."""
    figure, axis = pyplot.subplots(figsize=(8, 4))
    powers = sorted(set().union(*counts.values())) or [0]
    places = list(range(powers[0], powers[-1] + 1))
    width = 0.8 / len(counts)
    for index, (driver, count) in enumerate(counts.items()):
        at = [place + (index - (len(counts) - 1) / 2) * width for place in places]
        bars = axis.bar(at, [count[place] for place in places], width, color=DRIVERS[driver],
                        label=f"{driver}: {sum(count.values())}")
        axis.bar_label(bars, [str(count[place] or "") for place in places], fontsize=8)
    axis.set_xticks(places, [name(place) for place in places], rotation=45, ha="right", fontsize=8)
    axis.set_xlabel(what)
    axis.legend()
    return figure


def sizes(trace: Trace) -> Counter[int]:
    """Bios by the power of two of bytes that they reach."""
    return Counter((bio.sectors * 512).bit_length() - 1 for bio in trace.bios if bio.sectors)


def size_name(power: int) -> str:
    """From that many bytes on."""
    return f"{1 << power} B" if power < 10 else f"{1 << power - 10} KiB" if power < 20 else f"{1 << power - 20} MiB"


def rows(traces: dict[str, Trace]) -> list[list[str]]:
    """A line for each driver, direction and reason: bios, KiB, mean KiB."""
    found = []
    for driver, trace in traces.items():
        kinds = sorted({(bio.write, bio.reason) for bio in trace.bios})
        for write, reason in kinds:
            bios = [bio for bio in trace.bios if (bio.write, bio.reason) == (write, reason)]
            kib = sum(bio.sectors for bio in bios) / 2
            said = reason if driver == "rext2" else "all"
            found.append([driver, "write" if write else "read", said, str(len(bios)), f"{kib:.0f}", f"{kib / len(bios):.1f}"])
    return found


HEAD = ["driver", "", "sent because of", "bios", "KiB", "mean KiB"]


def page(pictures: dict[str, str], table: list[list[str]]) -> str:
    """One page with everything on it."""
    cells = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in [HEAD, *table]
    )
    figures = "".join(f"<h2>{html.escape(title)}</h2>{svg}" for title, svg in pictures.items())
    return (
        "<!DOCTYPE html><html lang=en><meta charset=utf-8><title>rext2: a trace</title>"
        "<style>body{font-family:sans-serif;max-width:60em;margin:2em auto}td{padding:.1em 1em;text-align:right}"
        "svg{width:100%;height:auto}</style><h1>rext2: a trace</h1>"
        f"<p>The whole of it: <a href=trace.txt>trace.txt</a>.</p><table>{cells}</table>{figures}</html>\n"
    )


def main() -> None:
    """Makes the pictures and the page."""
    if len(sys.argv) != 2:
        sys.exit("usage: report.py DIRECTORY")
    out = Path(sys.argv[1])
    devices = dict(line.split() for line in (out / "devices").read_text().splitlines())
    texts = {"rext2": out / "trace.txt", "ext4": out / "ext4.txt"}
    traces = {driver: parse(texts[driver], device) for driver, device in devices.items()}
    figures = {
        "time": ("When each bio was sent, and why", draw_time(traces)),
        "sizes": ("Sizes of bios", draw_bars({d: sizes(t) for d, t in traces.items()}, "at least", size_name)),
        "orders": (
            "Folios added to the page cache",
            draw_bars({d: t.orders for d, t in traces.items()}, "pages of 4 KiB", lambda order: str(1 << order)),
        ),
    }
    pictures = {}
    for name, (title, figure) in figures.items():
        figure.tight_layout()
        figure.savefig(out / f"{name}.svg")
        text = StringIO()
        figure.savefig(text, format="svg")
        pictures[title] = text.getvalue()[text.getvalue().index("<svg"):]
    table = rows(traces)
    (out / "trace.html").write_text(page(pictures, table))
    for row in [HEAD, *table]:
        print("{:6} {:6} {:20} {:>6} {:>8} {:>9}".format(*row))


main()
