#!/usr/bin/env python3
"""Boots a guest from a volume and lets it work: `tests/guest/root/check` is the program for people."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "qemu"))

import accel
import initramfs
from vm import Disk, Guest, Job, Machine

# What the volume's disk needs; rext2.ko needs nothing.
MODULES = ("virtio_blk",)

# The volume is the first disk. There is no udev, and nobody sits at a terminal.
APPEND = "root=/dev/vda rootfstype=rext2 rw systemd.firstboot=off systemd.getty_auto=no systemd.show_status=no watchdog_thresh=30"


def early_root(options: argparse.Namespace) -> bytes:
    """The initramfs: our init, the module, and what the booted system is to run."""
    base = initramfs.build(options.modules, Path("/usr/bin/busybox"), HERE / "init", MODULES)
    directory = initramfs.directory("test")
    files = {"modules/rext2.ko": (0o644, options.ko.read_bytes())}
    for name in ("work", "rext2-test.service"):
        files[f"test/{name}"] = (0o644, (HERE / name).read_bytes())
    return base + directory + initramfs.archive(files)


def boot(options: argparse.Namespace, image: Path) -> str:
    """Boots once; what went wrong, or nothing."""
    choice = accel.probe(options.kernel, options.initramfs, options.cache)
    machine = Machine(options.kernel, image, options.root, options.modules_image, choice)
    job = Job(command=["bash", "/run/rext2/work", options.work], disks=(Disk(options.volume),), memory=1024, append=APPEND)
    output = bytearray()
    with Guest(machine, job, options.log) as guest:
        ended = guest.run({"out": output.extend, "err": output.extend}, time.monotonic() + options.patience)
        faults = guest.faults([])
    sys.stdout.write(output.decode(errors="replace"))
    if faults:
        return "\n".join(line for fault in faults for line in fault.lines)
    if not output.rstrip().endswith(b"done"):
        return "\n".join(["its work was not done; the kernel log ends:", *tail(options.log)])
    if not ended:
        return "\n".join(["it did not power off; the kernel log ends:", *tail(options.log)])
    return ""


def tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-40:]


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("kernel", "initramfs", "root", "modules-image", "cache", "modules", "ko", "volume", "log"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--patience", type=float, default=400.0, help="seconds that the guest may take")
    parser.add_argument("work", choices=("first", "second"))
    options = parser.parse_args()
    with tempfile.NamedTemporaryFile(prefix="rext2-initramfs-") as file:
        file.write(early_root(options))
        file.flush()
        trouble = boot(options, Path(file.name))
    if trouble:
        print(trouble)
    return 1 if trouble else 0


if __name__ == "__main__":
    sys.exit(main())
