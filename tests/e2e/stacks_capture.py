# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads a capture file (src/out/capture.h, src/core/record.h, bpf/event.h) as far as stacks need it."""
import struct

ALLOC, STACK = 1, 259
ALLOC_RESTORED, ALLOC_RECOVERED = 2, 4
STACK_PARTIAL, STACK_TRUNCATED = 1, 2
FRAME_ADDRESS = (1 << 48) - 1  # above it is which code it is, and whether it is no return address
HEAD = struct.Struct("<HHIQ")


class Capture:
    """
    Each allocation's stack id, by process image and in the order of time; the return addresses of each id, and those
    ids that are said not to be complete.
    """

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        if data[:8] != b"seepcap\n":
            raise SystemExit(path + ": not a capture")
        self.allocs, self.stacks, self.partial = {}, {0: ()}, {0}
        at = struct.unpack_from("<I", data, 12)[0]
        while at + 8 <= len(data):
            length = struct.unpack_from("<I", data, at)[0]
            self.read(data[at + 8 : at + 8 + length])
            at += 8 + length
        for proc, allocs in self.allocs.items():
            self.allocs[proc] = [stack for _, stack in sorted(allocs)]

    def read(self, record):
        kind, flags, proc, time = HEAD.unpack_from(record)
        if kind == ALLOC and not flags & (ALLOC_RESTORED | ALLOC_RECOVERED):
            self.allocs.setdefault(proc, []).append((time, struct.unpack_from("<I", record, 32)[0]))
        elif kind == STACK:
            stack, nr = struct.unpack_from("<II", record, 16)
            frames = struct.unpack_from("<%dQ" % nr, record, 24)
            self.stacks[stack] = tuple(frame & FRAME_ADDRESS for frame in frames)
            if flags & (STACK_PARTIAL | STACK_TRUNCATED):
                self.partial.add(stack)
