"""Which way of executing a guest works on this machine: found by booting one, never by looking for /dev/kvm."""

import hashlib
import os
import platform
import re
import tempfile
import time
from pathlib import Path

from vm import Guest, Job, Machine

# A guest under KVM is alive within two seconds; where KVM is there but broken it stalls.
PATIENCE = 8.0


def _processor() -> str:
    found = re.search(r"^model name.*$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found.group(0) if found else platform.machine()


def _kvm_boots(kernel: Path, initramfs: Path) -> bool:
    machine = Machine(kernel, initramfs, Path(os.devnull), Path(os.devnull), "kvm")
    with tempfile.TemporaryDirectory(prefix="rext2-probe-") as scratch:
        log = Path(scratch) / "log"
        with Guest(machine, Job(["true"], append="rext2.probe"), log) as guest:
            guest.run({}, time.monotonic() + PATIENCE)
        return "rext2-guest: alive" in log.read_text(errors="replace")


def probe(kernel: Path, initramfs: Path, cache: Path) -> str:
    """`kvm` or `tcg`. The answer is kept for this processor, host kernel and guest kernel."""
    if choice := os.environ.get("QEMU_ACCEL"):
        return choice
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    key = hashlib.sha256(f"{_processor()} {platform.release()} {kernel}".encode()).hexdigest()[:12]
    answer = cache / f"accel-{key}"
    if not answer.exists():
        answer.write_text("kvm" if _kvm_boots(kernel, initramfs) else "tcg")
    return answer.read_text()
