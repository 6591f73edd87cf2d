#!/usr/bin/env python3
"""Builds the guest's initramfs: busybox, our init, and the modules that the root needs in loading order.

Also holds the small writer of cpio archives (format "newc", as in the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst) that puts each run's job behind it.
"""

import argparse
import lzma
import stat
import sys
from pathlib import Path

# What the root stands on: virtio disks with erofs, an overlay, and 9p shares.
ROOT_MODULES = ("virtio_blk", "erofs", "overlay", "9p", "9pnet_virtio")


def entry(name: str, mode: int, data: bytes = b"", rdev: tuple[int, int] = (0, 0)) -> bytes:
    """One member of a newc archive, padded to four bytes as the format wants."""
    encoded = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)


def archive(files: dict[str, tuple[int, bytes]]) -> bytes:
    """A whole archive of regular files: name to permissions and contents."""
    parts = [entry(name, stat.S_IFREG | mode, data) for name, (mode, data) in files.items()]
    parts.append(entry("TRAILER!!!", 0))
    return b"".join(parts)


def directory(name: str) -> bytes:
    """An archive's member for a directory; to be put before a whole archive."""
    return entry(name, stat.S_IFDIR | 0o755)


def module_name(path: str) -> str:
    """The name by which the kernel knows the module in `path`."""
    return Path(path).name.split(".", 1)[0].replace("-", "_")


def load_order(modules_dep: str, wanted: tuple[str, ...], builtin: set[str]) -> list[str]:
    """Paths of `wanted` modules and all that they need, each after its own needs."""
    needs: dict[str, list[str]] = {}
    paths: dict[str, str] = {}
    for line in modules_dep.splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        paths[module_name(path)] = path
    order: list[str] = []
    for name in wanted:
        if name in builtin:
            continue
        if name not in paths:
            sys.exit(f"initramfs.py: the kernel's modules lack {name}: use a kernel package that has it")
        # depmod lists needs nearest first: a module's own needs come after it.
        for path in [*reversed(needs[paths[name]]), paths[name]]:
            if path not in order:
                order.append(path)
    return order


def build(modules: Path, busybox: Path, init: Path, wanted: tuple[str, ...]) -> bytes:
    """The archive, from a directory /lib/modules/VERSION on which depmod was run; with `wanted` modules in it."""
    builtin_list = modules / "modules.builtin"
    builtin = {module_name(line) for line in builtin_list.read_text().split()} if builtin_list.exists() else set()
    order = load_order((modules / "modules.dep").read_text(), wanted, builtin)
    files = {
        "init": (0o755, init.read_bytes()),
        "bin/busybox": (0o755, busybox.read_bytes()),
        "modules/order": (0o644, "".join(f"{module_name(path)}.ko\n" for path in order).encode()),
    }
    for path in order:
        data = (modules / path).read_bytes()
        files[f"modules/{module_name(path)}.ko"] = (0o644, lzma.decompress(data) if path.endswith(".xz") else data)
    directories = b"".join(directory(name) for name in ("bin", "dev", "modules", "job"))
    return directories + entry("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)) + archive(files)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--modules", type=Path, required=True, help="directory lib/modules/VERSION, after depmod")
    parser.add_argument("--busybox", type=Path, required=True, help="a static busybox")
    parser.add_argument("--init", type=Path, required=True, help="the script that becomes /init")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.write_bytes(build(options.modules, options.busybox, options.init, ROOT_MODULES))


if __name__ == "__main__":
    main()
