"""Results of xfstests: recorded one by one as they come, and compared with those that are known."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from runner import Report

HEAD = "test\tresult\tseconds\treason"
# How good a result is: one that ranks lower than the known one is a fault.
RANK = {"pass": 2, "notrun": 1, "fail": 0, "timeout": 0, "died": 0}


@dataclass(frozen=True)
class Result:
    """`verdict` is a key of RANK; `died` means that the guest did."""

    test: str
    verdict: str
    seconds: float
    reason: str

    def line(self) -> str:
        return f"{self.test}\t{self.verdict}\t{self.seconds:.0f}\t{self.reason}"


def read(path: Path) -> dict[str, Result]:
    """The results in a file, the last one of each test; none if there is no such file."""
    results: dict[str, Result] = {}
    if path.exists():
        for line in path.read_text().splitlines()[1:]:
            test, verdict, seconds, reason = line.split("\t")
            results[test] = Result(test, verdict, float(seconds), reason)
    return results


def write(path: Path, results: dict[str, Result]) -> None:
    lines = [results[test].line() for test in sorted(results)]
    path.write_text("\n".join([HEAD, *lines, ""]))


def _reason(details: list[str]) -> str:
    """One line that says why a test failed, from all that is known."""
    kernel = [details[number + 1] for number, line in enumerate(details[:-1]) if line == "kernel log:"]
    differing = [line.strip() for line in details if line.startswith("    +") and not line.startswith("    +++")]
    lost = [line.strip() for line in details if line.startswith("    -") and not line.startswith("    ---")]
    plain = [line.strip() for line in details if line.strip()]
    return (kernel + differing + lost + plain + ["no output"])[0].replace("\t", " ")[:160]


class Record(Report):
    """Takes results from the guests and writes each down at once."""

    def __init__(self, path: Path, total: int) -> None:
        super().__init__()
        self.path = path
        self.total = total
        self.count = 0
        self._lock = threading.Lock()
        if not path.exists():
            path.write_text(f"{HEAD}\n")

    def _add(self, result: Result, details: list[str]) -> None:
        with self._lock:
            self.count += 1
            with self.path.open("a") as file:
                file.write(f"{result.line()}\n")
            text = f"{result.verdict} {result.test} ({result.seconds:.0f} s, {self.count} of {self.total})"
            print(f"{text}: {result.reason}" if result.reason else text, *details, sep="\n    ", flush=True)

    def passed(self, name: str, seconds: float) -> None:
        self._add(Result(name, "pass", seconds, ""), [])

    def skipped(self, name: str, reason: str) -> None:
        self._add(Result(name, "notrun", 0, reason.replace("\t", " ")), [])

    def failed(self, name: str, seconds: float, details: list[str]) -> None:
        """Takes a failed test; or what befell a guest between its tests, which has no result to record."""
        if "/" not in name:
            with self._lock:
                print(f"{name}:", *details, sep="\n    ", flush=True)
            return
        if any(line.startswith("failed: not finished within") for line in details):
            verdict = "timeout"
        elif any(line.startswith("the guest ended, or answered no more") for line in details):
            verdict = "died"
        else:
            verdict = "fail"
        self._add(Result(name, verdict, seconds, _reason(details)), details)


def summary(found: dict[str, Result], known: dict[str, Result]) -> bool:
    """Prints counts and every difference from what is known; False if anything is worse than that."""
    worse = False
    for test in sorted(found):
        result, before = found[test], known.get(test)
        if before and before.verdict == result.verdict:
            continue
        verdict = before.verdict if before else "unknown"
        is_worse = RANK[result.verdict] < (RANK[before.verdict] if before else 1)
        worse = worse or is_worse
        mark = "WORSE" if is_worse else "differs"
        print(f"{mark}: {test} {result.verdict}, known: {verdict}{': ' if result.reason else ''}{result.reason}")
    counts = {verdict: sum(result.verdict == verdict for result in found.values()) for verdict in RANK}
    print(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count) or "no results")
    return not worse
