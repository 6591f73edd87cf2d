#!/usr/bin/env python3
"""The part of qemu/run that works in the tool root: `qemu/run` has made all paths absolute and all images ready."""

import argparse
import os
import re
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import accel
from vm import Disk, Guest, Job, Machine, Share

# Exit statuses that are ours and not the command's; `qemu/run --help` tells them.
STATUS_KERNEL_FAULT = 98
STATUS_GUEST_DIED = 97
STATUS_TIMEOUT = 124


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in ("kernel", "initramfs", "root", "modules-image", "cache", "source", "out", "log"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--disk", action="append", default=[])
    parser.add_argument("--share", action="append", default=[])
    parser.add_argument("--module", action="append", default=[])
    parser.add_argument("--env", action="append", default=[])
    parser.add_argument("--allow-kernel", action="append", type=re.compile, default=[])
    parser.add_argument("--mem", type=int, default=2048)
    parser.add_argument("--smp", type=int, default=2)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--append", default="")
    for flag in ("icount", "debug-slab", "interactive"):
        parser.add_argument(f"--{flag}", action="store_true")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def share(text: str) -> Share:
    """NAME=DIR, or NAME=DIR,ro."""
    name, _, directory = text.partition("=")
    read_only = directory.endswith(",ro")
    return Share(name, Path(directory.removesuffix(",ro")), f"/mnt/{name}", read_only)


def job(options: argparse.Namespace) -> Job:
    disks = tuple(Disk(Path(text.removesuffix(",ro")), text.endswith(",ro")) for text in options.disk)
    shares = (
        Share("src", options.source, "/mnt/src", True),
        Share("out", options.out, "/mnt/out", False),
        *(share(text) for text in options.share),
    )
    return Job(
        command=options.command,
        disks=disks,
        shares=shares,
        modules=tuple(options.module),
        environment=dict(text.split("=", 1) for text in options.env),
        memory=options.mem,
        processors=options.smp,
        icount=options.icount,
        debug_slab=options.debug_slab,
        append=options.append,
        interactive=options.interactive,
    )


def write_to(descriptor: int, data: bytes) -> None:
    """Writes all of `data`, whatever the descriptor takes at a time."""
    while data:
        data = data[os.write(descriptor, data) :]


@contextmanager
def terminal(guest: Guest) -> Iterator[None]:
    """Joins our terminal with the guest's: every key goes there, and so does each change of size."""
    old = termios.tcgetattr(0)

    def resized(*_: object) -> None:
        size = os.get_terminal_size(0)
        guest.tell(f"window {size.lines} {size.columns}")

    signal.signal(signal.SIGWINCH, resized)
    resized()
    tty.setraw(0)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, signal.SIG_DFL)
        termios.tcsetattr(0, termios.TCSADRAIN, old)


def run(guest: Guest, options: argparse.Namespace) -> bool:
    """Carries the guest's streams to ours until it ends; False if time ran out."""
    deadline = time.monotonic() + options.timeout if options.timeout else None
    sinks = {"out": lambda data: write_to(1, data), "err": lambda data: write_to(2, data)}
    if not options.interactive:
        return guest.run(sinks, deadline)
    with terminal(guest):
        return guest.run({**sinks, "tty": sinks["out"]}, deadline, keyboard=0)


def complain(text: str) -> None:
    print(f"qemu/run: {text}", file=sys.stderr)


def verdict(guest: Guest, in_time: bool, options: argparse.Namespace) -> int:
    """Says what went wrong, if anything did, and chooses our exit status."""
    faults = guest.faults(options.allow_kernel)
    for fault in faults:
        complain(f"the kernel complained; line {fault.number} of {guest.log}:")
        print("\n".join(f"    {line}" for line in fault.lines), file=sys.stderr)
    if not in_time:
        complain(f"stopped: not finished within {options.timeout:g} s; kernel log: {guest.log}")
        return STATUS_TIMEOUT
    if guest.status is None:
        complain(f"the guest ended before its command did; kernel log: {guest.log} {guest.qemu_errors()}".rstrip())
        return STATUS_GUEST_DIED
    return guest.status or (STATUS_KERNEL_FAULT if faults else 0)


def main() -> int:
    options = arguments()
    choice = accel.probe(options.kernel, options.initramfs, options.cache)
    machine = Machine(options.kernel, options.initramfs, options.root, options.modules_image, choice)
    with Guest(machine, job(options), options.log) as guest:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            in_time = run(guest, options)
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:
            return 141
        if not in_time:
            guest.kill()
        return verdict(guest, in_time, options)


if __name__ == "__main__":
    sys.exit(main())
