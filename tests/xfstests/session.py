#!/usr/bin/env python3
"""Runs xfstests in guests: `tests/xfstests/run` is the program for people; it starts this one in the tool root."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

here = Path(__file__).resolve().parent
sys.path[:0] = [str(here.parents[1] / "qemu"), str(here.parent / "guest")]

import accel
import choice
import results
from results import Record, Result
from runner import Run
from suite import Boot, Test
from vm import Disk, Guest, Job, Machine, Share

# The disks: test, scratch, log of writes. Their files are sparse.
DISK_SIZES = ("2G", "2G", "4G")

# Seconds for what comes before the first test, beside those for booting.
SET_UP_PATIENCE = 480.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("kernel", "initramfs", "root", "modules-image", "cache", "source", "directory", "scratch", "tree"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("group", "exclude-group"):
        parser.add_argument(f"--{name}", action="append", default=[])
    for name in ("from", "exclude"):
        parser.add_argument(f"--{name}", action="append", type=Path, default=[], dest=f"{name}_lists")
    parser.add_argument("--baseline", type=Path, required=True)
    parser.add_argument("--block-size", type=int, required=True)
    parser.add_argument("--limit", type=int, default=900)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--smp", type=int, default=Boot.processors)
    for flag in ("continue", "retry", "store", "list", "debug-slab"):
        parser.add_argument(f"--{flag}", action="store_true", dest=flag.replace("-", "_") + "_wanted")
    parser.add_argument("patterns", nargs="*")
    return parser.parse_args()


class Session:
    """What all guests of one run share."""

    def __init__(self, machine: Machine, options: argparse.Namespace, image: Path, record: Record, scratch: Path) -> None:
        self.machine = machine
        self.options = options
        self.image = image
        self.record = record
        self.scratch = scratch

    def disks(self, guest: int) -> tuple[Disk, ...]:
        """Empty disks for guest number `guest`, and the image of the tree."""
        disks = []
        for number, size in enumerate(DISK_SIZES):
            file = self.scratch / f"guest{guest}-disk{number}"
            file.unlink(missing_ok=True)
            subprocess.run(["truncate", "-s", size, str(file)], check=True)
            disks.append(Disk(file))
        return (*disks, Disk(self.image, True))

    def job(self, guest: int, tests: list[Test]) -> Job:
        options = self.options
        module = f"/mnt/src/{(options.directory / 'rext2.ko').relative_to(options.source)} serve_ext2=1"
        return Job(
            command=["tests/xfstests/agent.py", str(options.limit), *(test.name for test in tests)],
            disks=self.disks(guest),
            shares=(
                Share("src", options.source, "/mnt/src", True),
                Share("out", options.directory / "out", "/mnt/out", False),
            ),
            modules=(module,),
            environment={"XFSTESTS_BLOCK_SIZE": str(options.block_size)},
            processors=options.smp,
            debug_slab=options.debug_slab_wanted,
        )

    def carry(self, guest: int, names: list[str]) -> None:
        """Boots guests for these tests, one after the other, until each test had its turn."""
        tests = [Test(name, here, "", self.options.limit, Boot(), False) for name in names]
        while tests:
            log = self.options.directory / f"kernel{guest}.log"
            if log.exists():
                log.replace(log.with_suffix(".before.log"))
            with Guest(self.machine, self.job(guest, tests), log) as booted:
                run = Run(booted, tests, self.record)
                # `check` looks at the whole tree before its first test.
                run.deadline += SET_UP_PATIENCE
                tests = run.carry()


def chosen(options: argparse.Namespace, known: dict[str, Result]) -> list[str]:
    """What this run is to run, before what it need not repeat."""
    tree = choice.Tree(options.tree / "tests")
    default = choice.words(here / "core.txt") + [name for name, result in known.items() if result.verdict != "notrun"]
    tests = choice.choose(tree, options.patterns, options.group, options.from_lists, default)
    return choice.leave_out(tree, tests, options.exclude_group, options.exclude_lists)


def outstanding(tests: list[str], options: argparse.Namespace, file: Path) -> list[str]:
    """Without those that have a result already, if the last run is to go on."""
    if options.retry_wanted:
        return [test for test in tests if test not in (done := results.read(file)) or done[test].verdict not in ("pass", "notrun")]
    if options.continue_wanted:
        return [test for test in tests if test not in results.read(file)]
    if file.exists():
        file.replace(file.with_suffix(".before.tsv"))
    return tests


def prepare(options: argparse.Namespace) -> Path:
    """The module and the tree as they are now, whatever is built meanwhile; the image of the tree."""
    (options.directory / "out").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(options.source / "build" / "rext2.ko", options.directory / "rext2.ko")
    image: Path = options.directory / "tree.erofs"
    image.unlink(missing_ok=True)
    command = ["mkfs.erofs", "--quiet", "--all-root", "--exclude-path=.git", str(image), str(options.tree)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return image


def run_all(options: argparse.Namespace, tests: list[str], file: Path, known: dict[str, Result]) -> None:
    """Runs the tests in as many guests at a time as were asked for."""
    machine = Machine(
        options.kernel,
        options.initramfs,
        options.root,
        options.modules_image,
        accel.probe(options.kernel, options.initramfs, options.cache),
    )
    image = prepare(options)
    seconds = {name: result.seconds for name, result in known.items() if result.seconds}
    parts = choice.shares(tests, seconds, options.jobs)
    with tempfile.TemporaryDirectory(prefix="xfstests-", dir=options.scratch) as scratch:
        session = Session(machine, options, image, Record(file, len(tests)), Path(scratch))
        # An interrupt ends this thread; the others, and their guests, end with the program.
        threads = [threading.Thread(target=session.carry, args=item, daemon=True) for item in enumerate(parts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main() -> int:
    options = arguments()
    known = results.read(options.baseline)
    tests = chosen(options, known)
    if options.list_wanted:
        print("\n".join(tests))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options.directory.mkdir(parents=True, exist_ok=True)
    file = options.directory / "results.tsv"
    if waiting := outstanding(tests, options, file):
        run_all(options, waiting, file, known)
    everything = results.read(file)
    found = {name: everything[name] for name in tests if name in everything}
    for name in (name for name in tests if name not in found):
        print(f"MISSING: {name} has no result")
    good = results.summary(found, known)
    if options.store_wanted:
        results.write(options.baseline, {**known, **found})
    return 0 if good and len(found) == len(tests) else 1


if __name__ == "__main__":
    sys.exit(main())
