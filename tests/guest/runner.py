#!/usr/bin/env python3
"""Runs guest tests: boots what they need, tells each result as it comes, reads the kernel log after each.

`tests/guest/run` is the program for people; it starts this one in the tool root.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "qemu"))

import accel
import suite
from klog import find_faults
from suite import Boot, Test
from vm import Disk, Guest, Job, Machine, Share

# Statuses of `one` and `agent` that are not plain failures.
STATUS_SKIPPED = 77

# Seconds beyond a test's own limit, before the guest is taken for dead; and for its boot.
GRACE = 30.0
BOOT_PATIENCE = 120.0

MARK = b"\x1e"


@dataclass
class Score:
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0


class Report:
    """Tells results: one line each, and all there is to know about a failure."""

    def __init__(self) -> None:
        self.score = Score()

    def passed(self, name: str, seconds: float) -> None:
        self.score.passed += 1
        print(f"ok {name} ({seconds:.0f} s)", flush=True)

    def skipped(self, name: str, reason: str) -> None:
        self.score.skipped += 1
        print(f"skip {name}: {reason}", flush=True)

    def failed(self, name: str, seconds: float, details: list[str]) -> None:
        self.score.failed.append(name)
        print(f"FAIL {name} ({seconds:.0f} s)", *(f"    {line}" for line in details), sep="\n", flush=True)

    def end(self) -> int:
        score = self.score
        for name in score.failed:
            print(f"failed: {name}")
        if score.skipped:
            print(f"{score.skipped} skipped")
        print(f"{score.passed} passed, {len(score.failed)} failed")
        return 1 if score.failed or not score.passed else 0


class KernelLog:
    """The log of one guest, read in the pieces that belong to each test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def until(self, mark: str, patience: float) -> list[str]:
        """What has come since the last call, up to the line with `mark`; all there is if that does not come."""
        end = time.monotonic() + patience
        while True:
            data = self.path.read_bytes()[self.offset :]
            found = re.search(rb"[^\n]*" + re.escape(mark.encode()) + rb"\r?\n", data) if mark else None
            if found or time.monotonic() >= end:
                data = data[: found.start()] if found else data
                self.offset += found.end() if found else len(data)
                return data.decode(errors="replace").splitlines()
            time.sleep(0.05)


class Run:
    """The tests of one guest, from its boot to its end."""

    def __init__(self, guest: Guest, tests: list[Test], report: Report) -> None:
        self.guest = guest
        self.report = report
        self.waiting = list(tests)
        self.log = KernelLog(guest.log)
        self.current: Test | None = None
        self.started = 0.0
        self.deadline = time.monotonic() + BOOT_PATIENCE
        self.output: list[str] = []
        self.allowed: list[re.Pattern[str]] = []
        self._partial = b""

    def feed(self, data: bytes) -> None:
        """Takes what the agent writes."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            if line.startswith(MARK):
                self._marked(line[1:].decode(errors="replace").split(" ", 1))
            elif line or self.output:
                self.output.append(line.decode(errors="replace"))

    def _marked(self, words: list[str]) -> None:
        kind, rest = words
        if kind == "allow":
            self.allowed.append(re.compile(rest))
        elif kind == "begin":
            self._begin()
        elif kind == "end":
            self._end(int(rest.split()[1]))

    def _begin(self) -> None:
        self.current = self.waiting.pop(0)
        self.started = time.monotonic()
        self.deadline = self.started + self.current.limit + GRACE
        self._between("before the test")
        self.output, self.allowed = [], []

    def _between(self, what: str) -> None:
        """Faults in the log that belong to no test."""
        mark = f"rext2-test: begin {self.current.name}" if self.current else ""
        faults = find_faults(self.log.until(mark, 5.0 if mark else 0.0))
        if faults:
            self.report.failed(f"guest, {what}", 0, [line for fault in faults for line in fault.lines])

    def _end(self, status: int, lost: str = "") -> None:
        test, self.current = self.current, None
        if test is None:
            return
        seconds = time.monotonic() - self.started
        log = self.log.until("" if lost else f"rext2-test: end {test.name}", 0.0 if lost else 5.0)
        faults = [line for fault in find_faults(log, self.allowed) for line in ("kernel log:", *fault.lines)]
        output = [line for line in self.output if line]
        if status == STATUS_SKIPPED and not faults:
            self.report.skipped(test.name, output[-1] if output else "no reason given")
        elif status or faults or lost:
            hang = ["kernel log:", *log[-60:]] if status == 124 and not faults else []
            self.report.failed(test.name, seconds, [*output, *faults, *hang, *([lost] if lost else [])])
        else:
            self.report.passed(test.name, seconds)
        self.deadline = time.monotonic() + GRACE

    def carry(self) -> list[Test]:
        """Runs until the guest is gone; the tests that did not get their turn."""
        before = len(self.waiting)
        if not self.guest.run({"out": self.feed, "err": self.feed}, lambda: self.deadline):
            self.guest.kill()
        if self.current:
            self._end(1, lost="the guest ended, or answered no more, during this test")
        else:
            self._between("after the last test")
        if len(self.waiting) == before and self.waiting:
            self.report.failed("guest", 0, ["did not come to its tests; its kernel log ends:", *self._log_tail(), *self.output])
            return []
        return self.waiting

    def _log_tail(self) -> list[str]:
        return self.guest.log.read_text(errors="replace").splitlines()[-25:]


def make_disks(boot: Boot, directory: Path) -> tuple[Disk, ...]:
    """Empty disks of the sizes asked for."""
    disks = []
    for number, size in enumerate(boot.disks):
        file = directory / f"disk{number}"
        subprocess.run(["truncate", "-s", size, str(file)], check=True)
        disks.append(Disk(file))
    return tuple(disks)


def run_group(machine: Machine, tests: list[Test], options: argparse.Namespace, report: Report) -> None:
    """Boots guests for these tests until each had its turn."""
    boot = tests[0].boot
    while tests:
        with tempfile.TemporaryDirectory(prefix="disks-", dir=options.scratch) as directory:
            job = Job(
                command=["tests/guest/agent", *(agent_word(test, options.source) for test in tests)],
                disks=make_disks(boot, Path(directory)),
                shares=(Share("src", options.source, "/mnt/src", True), Share("out", options.out, "/mnt/out", False)),
                modules=tuple(options.module),
                environment=dict(text.split("=", 1) for text in options.env),
                memory=boot.memory,
                processors=boot.processors,
                debug_slab=boot.debug_slab,
                append=boot.append,
            )
            with Guest(machine, job, options.log) as guest:
                tests = Run(guest, tests, report).carry()


def agent_word(test: Test, source: Path) -> str:
    """How `agent` is told about a test."""
    return f"{test.file.relative_to(source)}:{test.function}:{test.name}:{test.limit}"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("kernel", "initramfs", "root", "modules-image", "cache", "source", "out", "log", "scratch", "tests"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("patterns", nargs="*")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    tests = [test for path in sorted(options.tests.glob("*.sh")) for test in suite.read_file(path)]
    tests = suite.select(tests, options.patterns)
    if not options.full and not options.patterns:
        tests = [test for test in tests if not test.full]
    if options.list:
        print("\n".join(test.name for test in tests))
        return 0
    choice = accel.probe(options.kernel, options.initramfs, options.cache)
    machine = Machine(options.kernel, options.initramfs, options.root, options.modules_image, choice)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    report = Report()
    try:
        for group in suite.groups(tests):
            run_group(machine, group, options, report)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        report.end()
        return 130
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
