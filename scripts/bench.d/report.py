#!/usr/bin/env python3
"""Turns what the guest measured into a table, a picture and results.tsv: report.py DIRECTORY."""

import csv
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (the drawing back end must be chosen first)

DRIVERS = ("cext2", "rext2", "ext4", "xfs", "raw")
NAMES = {"cext2": "C ext2", "rext2": "rext2", "ext4": "ext4 driver", "xfs": "XFS", "raw": "raw device"}
COLOURS = {"cext2": "#888888", "rext2": "#c0392b", "ext4": "#2e6da4", "xfs": "#4f9d4f", "raw": "#d0d0d0"}


@dataclass(frozen=True)
class Workload:
    """A line of workloads.tsv."""

    name: str
    part: str
    target: float | None
    description: str


@dataclass(frozen=True)
class Cost:
    """The median of the rounds: instructions per `unit`, and bios of the whole workload."""

    unit: str
    instructions: float
    bios: int
    spread: float


Costs = dict[str, dict[str, Cost]]


def workloads() -> list[Workload]:
    lines = Path(__file__).with_name("workloads.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [Workload(row[0], row[1], None if row[3] == "-" else float(row[3]), row[5]) for row in rows]


def costs(measured: Path) -> Costs:
    """The costs by workload and driver: lines R are rounds, lines B say how many bios there were."""
    rounds: dict[tuple[str, str], list[tuple[str, float]]] = defaultdict(list)
    counted: dict[tuple[str, str], int] = {}
    for line in measured.read_text().splitlines():
        kind, driver, name, *rest = line.split()
        if kind == "B":
            counted[name, driver] = int(rest[0])
        else:
            unit, count, instructions = rest[:3]
            rounds[name, driver].append((unit, int(instructions) / int(count)))
    found: Costs = defaultdict(dict)
    for (name, driver), values in rounds.items():
        each = [value[1] for value in values]
        middle = median(each)
        spread = (max(each) - min(each)) / middle
        found[name][driver] = Cost(values[0][0], middle, counted[name, driver], spread)
    return found


def verdict(workload: Workload, by_driver: dict[str, Cost]) -> list[str]:
    """What rext2 misses; empty if nothing, or if it was not measured beside C ext2."""
    ours, theirs, ext4 = (by_driver.get(name) for name in ("rext2", "cext2", "ext4"))
    missed: list[str] = []
    if ours is None or theirs is None:
        return missed
    if workload.target is not None and ours.instructions > workload.target * theirs.instructions:
        missed.append("target")
    if ours.bios > theirs.bios:
        missed.append("more bios")
    if ext4 is not None and ours.instructions > ext4.instructions:
        missed.append("dearer than ext4")
    return missed


def row(workload: Workload, by_driver: dict[str, Cost], drivers: list[str]) -> list[str]:
    base = by_driver.get("cext2")
    unit = next(iter(by_driver.values())).unit
    cells = [workload.name, unit]
    for driver in drivers:
        cost = by_driver.get(driver)
        cells.append("–" if cost is None else f"{cost.instructions / 1000:.1f}")
    for driver in drivers:
        cost = by_driver.get(driver)
        if driver != "cext2":
            cells.append("–" if cost is None or base is None else f"{cost.instructions / base.instructions:.3f}")
    for driver in drivers:
        cost = by_driver.get(driver)
        cells.append("–" if cost is None else str(cost.bios))
    missed = verdict(workload, by_driver)
    judged = base is not None and "rext2" in by_driver
    cells.append("–" if workload.target is None else f"{workload.target:.2f}")
    cells.append(("missed: " + ", ".join(missed) if missed else "met") if judged else "–")
    return cells


def header(drivers: list[str]) -> list[str]:
    return [
        "workload",
        "per",
        *(f"{driver} k" for driver in drivers),
        *(f"{driver}/C" for driver in drivers if driver != "cext2"),
        *(f"{driver} bios" for driver in drivers),
        "target",
        "rext2",
    ]


def table(rows: list[list[str]]) -> str:
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]

    def line(cells: list[str]) -> str:
        last = len(cells) - 1
        return "  ".join(
            cell.ljust(width) if i in (0, 1, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()

    return "\n".join(line(cells) for cells in rows)


def draw(chosen: list[Workload], found: Costs, drivers: list[str], picture: Path) -> None:
    """Bars: instructions relative to C ext2; a tick marks the target."""
    shown = [w for w in chosen if "cext2" in found[w.name]]
    figure, axes = pyplot.subplots(figsize=(10, 1.2 + 0.7 * len(shown)))
    height = 0.8 / len(drivers)
    for index, driver in enumerate(drivers):
        places = [i for i, w in enumerate(shown) if driver in found[w.name]]
        values = [found[shown[i].name][driver].instructions / found[shown[i].name]["cext2"].instructions for i in places]
        axes.barh([i + index * height for i in places], values, height, color=COLOURS[driver], label=NAMES[driver])
    for i, workload in enumerate(shown):
        if workload.target is not None:
            axes.plot([workload.target] * 2, [i - height / 2, i + 0.8 - height / 2], color="black", linewidth=1.5)
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(shown))], [w.description for w in shown])
    axes.invert_yaxis()
    axes.set_xlabel("instructions relative to the C ext2 driver (less is better); black line: rext2's target")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=len(drivers), frameon=False)
    figure.tight_layout()
    figure.savefig(picture)


def write_results(chosen: list[Workload], found: Costs, file: Path) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(["workload", "driver", "unit", "instructions", "spread", "bios"])
        for workload in chosen:
            for driver, cost in found[workload.name].items():
                writer.writerow(
                    [workload.name, driver, cost.unit, f"{cost.instructions:.0f}", f"{cost.spread:.4f}", cost.bios]
                )


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: report.py DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    found = costs(directory / "measured")
    chosen = [workload for workload in workloads() if workload.name in found]
    drivers = [driver for driver in DRIVERS if any(driver in found[w.name] for w in chosen)]
    rows = [header(drivers), *(row(workload, found[workload.name], drivers) for workload in chosen)]
    text = table(rows)
    print(text)
    (directory / "table.txt").write_text(text + "\n")
    write_results(chosen, found, directory / "results.tsv")
    if "cext2" in drivers:
        draw(chosen, found, drivers, directory / "bench.svg")
    judged = [w for w in chosen if {"cext2", "rext2"} <= found[w.name].keys()]
    met = sum(not verdict(w, found[w.name]) for w in judged)
    worst = max((cost.spread for by_driver in found.values() for cost in by_driver.values()), default=0.0)
    print(f"k: thousand guest instructions; largest difference between rounds: {100 * worst:.1f} %")
    print(f"{met} of {len(judged)} workloads meet target, bios and ext4")
    return 0


if __name__ == "__main__":
    sys.exit(main())
