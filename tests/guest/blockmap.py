#!/usr/bin/env python3
"""The bios that reading one whole file in a single window has to cost: blockmap.py BLOCK-SIZE < `debugfs stat` output.

Prints "R SECTOR SECTORS" lines. One bio per run that is contiguous in the file and on the disk. Metadata that has to
be read to go on cuts a run, and is read alone: so the disk sees the order of the file's layout.
"""

import re
import sys


PIECE = re.compile(r"\((?:[DT]?IND|(\d+)(?:-\d+)?)\):(\d+)(?:-(\d+))?")


def pieces(text: str) -> list[tuple[int, int, int]]:
    """(first file block, first disk block, length) from the BLOCKS part of `debugfs stat`; metadata has -1."""
    return [
        (int(first or -1), int(start), int(end or start) - int(start) + 1)
        for first, start, end in PIECE.findall(text.replace("\n", " "))
    ]


def bios(text: str, sectors: int) -> list[str]:
    """The lines; `sectors`: 512-byte sectors in a block."""
    lines: list[str] = []
    run: list[int] = []

    def send() -> None:
        if run:
            lines.append(f"R {run[1] * sectors} {run[2] * sectors}")
            run.clear()

    for first, disk, length in pieces(text):
        if first < 0:
            send()
            lines.append(f"R {disk * sectors} {length * sectors}")
        elif run and run[0] + run[2] == first and run[1] + run[2] == disk:
            run[2] += length
        else:
            send()
            run.extend((first, disk, length))
    send()
    return lines


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: debugfs -R 'stat FILE' DEVICE | blockmap.py BLOCK-SIZE")
    print("\n".join(bios(sys.stdin.read(), int(sys.argv[1]) // 512)))


if __name__ == "__main__":
    main()
