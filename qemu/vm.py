"""One guest: starts QEMU, carries the command's streams, and tells how it ended."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import initramfs
from klog import Fault, find_faults

PORTS = ("out", "err", "ctl")

# Seconds that a guest may take to power off once its command has ended.
POWER_OFF_PATIENCE = 20.0

# The log names every fault; an oops ends the guest at once; patience suits an emulated machine.
KERNEL_LINE = (
    "console=ttyS0 loglevel=7 panic=-1 oops=panic tsc=reliable mitigations=off "
    "rcupdate.rcu_cpu_stall_timeout=60 random.trust_cpu=on no_timer_check"
)
# The clock counts instructions: fixed addresses and nothing that fires by itself.
KERNEL_LINE_ICOUNT = "nokaslr clocksource=tsc nowatchdog"
KERNEL_LINE_DEBUG = "slab_debug=FZPU page_poison=1 init_on_free=0"


@dataclass(frozen=True)
class Machine:
    """What is the same for every guest: the kernel, its images, and how it is executed."""

    kernel: Path
    initramfs: Path
    root: Path
    modules_image: Path
    accel: str


@dataclass(frozen=True)
class Disk:
    """A disk under test, raw."""

    file: Path
    read_only: bool = False


@dataclass(frozen=True)
class Share:
    """A directory of the host in the guest."""

    tag: str
    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True)
class Job:
    """What one guest is to do, and with what."""

    command: list[str]
    disks: tuple[Disk, ...] = ()
    shares: tuple[Share, ...] = ()
    modules: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    memory: int = 2048
    processors: int = 2
    icount: bool = False
    debug_slab: bool = False
    append: str = ""
    interactive: bool = False


def job_files(job: Job) -> dict[str, tuple[int, bytes]]:
    """The job as the guest's first processes read it, below /job in the initramfs."""
    start = Path(__file__).parent / "guest" / "start"
    environment = {"DM_DISABLE_UDEV": "1", "TERM": os.environ.get("TERM", "dumb"), **job.environment}
    modes = {True: "ro", False: "rw"}
    texts = {
        "command": f"cd /mnt/src 2>/dev/null || cd /\nexec {shlex.join(job.command)}\n",
        "env": "".join(f"{name}={shlex.quote(value)}\n" for name, value in environment.items()),
        "shares": "".join(f"{share.tag} {share.target} {modes[share.read_only]}\n" for share in job.shares),
        "modules": "".join(f"{module}\n" for module in job.modules),
    }
    if job.interactive:
        texts["interactive"] = ""
    files = {f"job/{name}": (0o644, text.encode()) for name, text in texts.items()}
    return {**files, "job/start": (0o755, start.read_bytes())}


def accel_arguments(accel: str, job: Job) -> list[str]:
    """How the guest's instructions are executed. With `icount` they are counted, and repeat to about 1 %."""
    if job.icount:
        return "-accel tcg,thread=single -icount shift=0,sleep=off -cpu max,-erms -smp 1 -rtc base=2026-01-01,clock=vm".split()
    if accel == "kvm":
        return ["-accel", "kvm", "-cpu", "host", "-smp", str(job.processors)]
    return ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(job.processors)]


def disk_arguments(number: int, disk: Disk, serial: str) -> list[str]:
    """A virtio disk. `unsafe` caching: its contents need not survive a crash of this machine."""
    mode = "on" if disk.read_only else "off"
    # A comma in an option's value is written twice.
    file = str(disk.file).replace(",", ",,")
    return [
        "-drive",
        f"file={file},id=disk{number},if=none,format=raw,cache=unsafe,discard=unmap,read-only={mode}",
        "-device",
        f"virtio-blk-pci,drive=disk{number},serial={serial}",
    ]


def port_arguments(sockets: dict[str, socket.socket]) -> list[str]:
    """The virtio ports: each leads to our end of a socket pair."""
    arguments: list[str] = []
    for name, end in sockets.items():
        arguments += ["-chardev", f"socket,id={name},fd={end.fileno()}"]
        device = "virtconsole" if name == "tty" else "virtserialport"
        arguments += ["-device", f"{device},chardev={name},name=rext2.{name}"]
    return arguments


Sinks = dict[str, Callable[[bytes], None]]
Deadline = float | Callable[[], float] | None


class Guest:
    """A running guest. Use as a context manager; `run` carries its streams until it ends."""

    def __init__(self, machine: Machine, job: Job, log: Path) -> None:
        self.job = job
        self.log = log
        self.status: int | None = None
        self._power_off_by: float | None = None
        self._scratch = tempfile.TemporaryDirectory(prefix="rext2-vm-")
        pairs = {name: socket.socketpair() for name in (*PORTS, *(("tty",) if job.interactive else ()))}
        self.ports = {name: pair[0] for name, pair in pairs.items()}
        theirs = {name: pair[1] for name, pair in pairs.items()}
        log.unlink(missing_ok=True)
        log.touch()
        arguments = self._arguments(machine, theirs)
        self.process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[end.fileno() for end in theirs.values()],
            start_new_session=True,
        )
        for end in theirs.values():
            end.close()

    def _arguments(self, machine: Machine, ports: dict[str, socket.socket]) -> list[str]:
        job = self.job
        initrd = Path(self._scratch.name) / "initrd"
        initrd.write_bytes(machine.initramfs.read_bytes() + initramfs.archive(job_files(job)))
        line = [KERNEL_LINE, KERNEL_LINE_ICOUNT if job.icount else "", KERNEL_LINE_DEBUG if job.debug_slab else "", job.append]
        arguments = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        arguments += accel_arguments(machine.accel, job)
        arguments += ["-m", str(job.memory), "-kernel", str(machine.kernel), "-initrd", str(initrd)]
        arguments += ["-append", " ".join(word for word in line if word)]
        log = str(self.log).replace(",", ",,")
        arguments += ["-chardev", f"file,id=log,path={log},append=on", "-device", "virtio-serial-pci"]
        arguments += ["-serial", "chardev:log"]
        # The disks under test come first: they get the first names.
        disks = [(disk, f"rext2-disk{number}") for number, disk in enumerate(job.disks)]
        disks += [(Disk(machine.root, True), "rext2-root"), (Disk(machine.modules_image, True), "rext2-modules")]
        for number, (disk, serial) in enumerate(disks):
            arguments += disk_arguments(number, disk, serial)
        for share in job.shares:
            source = str(share.source).replace(",", ",,")
            mode = ",readonly=on" if share.read_only else ""
            arguments += ["-virtfs", f"local,path={source},mount_tag={share.tag},security_model=none,multidevs=remap{mode}"]
        return arguments + port_arguments(ports)

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        for port in self.ports.values():
            port.close()
        self._scratch.cleanup()

    def kill(self) -> None:
        """Ends QEMU at once; harmless when it has ended."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def qemu_errors(self) -> str:
        """What QEMU itself complained about; only after it has ended."""
        stream = self.process.stderr
        return stream.read().decode(errors="replace").strip() if stream else ""

    def run(self, sinks: Sinks, deadline: Deadline = None, keyboard: int | None = None) -> bool:
        """Feeds what arrives on each port to its sink until the guest is gone; False if time ran out.

        `deadline` is a time of the monotonic clock, or a function that tells it, for one that moves as data
        arrives. Keys read from the descriptor `keyboard` go to the guest.
        """
        with selectors.DefaultSelector() as selector:
            for name, sink in {**sinks, "ctl": self._on_control}.items():
                selector.register(self.ports[name], selectors.EVENT_READ, sink)
            if keyboard is not None:
                selector.register(keyboard, selectors.EVENT_READ, self.ports["tty"].sendall)
            # QEMU's end closes every port.
            while any(port in selector.get_map() for port in self.ports.values()):
                end = self._power_off_by or (deadline() if callable(deadline) else deadline)
                patience = None if end is None else end - time.monotonic()
                if patience is not None and patience <= 0:
                    return self.status is not None
                for key, _ in selector.select(patience):
                    if not _carry(key):
                        selector.unregister(key.fileobj)
        self.process.wait()
        return True

    def _on_control(self, data: bytes) -> None:
        if found := re.search(rb"exit (\d+)", data):
            self.status = int(found.group(1))
            self._power_off_by = time.monotonic() + POWER_OFF_PATIENCE

    def tell(self, line: str) -> None:
        """Sends a line to the guest's control port."""
        with contextlib.suppress(OSError):
            self.ports["ctl"].sendall(line.encode() + b"\n")

    def faults(self, allowed: list[re.Pattern[str]]) -> list[Fault]:
        """What the kernel log complains about."""
        return find_faults(self.log.read_text(errors="replace").splitlines(), allowed)


def _carry(key: selectors.SelectorKey) -> bool:
    """Moves what is ready on one descriptor to its sink; False at its end."""
    try:
        data = os.read(key.fd, 1 << 16)
    except ConnectionResetError:
        return False
    if data:
        key.data(data)
    return bool(data)
