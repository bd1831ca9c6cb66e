# SPDX-License-Identifier: GPL-2.0-or-later
"""
Sums of the blocks in a capture, raw:  usdt_capture.py FILE
Prints "allocs N frees N live N tagged N weight N live_weight N": tagged are those allocations that say themselves what
they stand for (SEEP_TAG_GIVEN of bpf/event.h), and weights are the bytes that blocks stand for.
"""
import struct
import sys

ALLOC, FREE = 1, 2
HEAD = struct.Struct("<HHIQ")
SIZE_BITS = 48
TAG_GIVEN = 0x8000


def weight_of(sized):
    size, tag = sized & ((1 << SIZE_BITS) - 1), sized >> SIZE_BITS
    if tag < TAG_GIVEN:
        return size
    return size * (1 + (tag & 0x3FF) / 1024) * (1 << (tag >> 10 & 0x1F))


def records(data):
    at = struct.unpack_from("<I", data, 12)[0]
    while at + 8 <= len(data):
        length = struct.unpack_from("<I", data, at)[0]
        yield data[at + 8 : at + 8 + length]
        at += 8 + length


allocated, freed = {}, set()
with open(sys.argv[1], "rb") as file:
    contents = file.read()
for record in records(contents):
    kind, _, proc, time = HEAD.unpack_from(record)
    if kind == ALLOC:
        addr, sized = struct.unpack_from("<QQ", record, HEAD.size)
        allocated[proc, addr, time] = sized
    elif kind == FREE:
        addr, birth = struct.unpack_from("<QQ", record, HEAD.size)
        freed.add((proc, addr, birth))
live = {block: sized for block, sized in allocated.items() if block not in freed}
print(
    "allocs", len(allocated),
    "frees", len(freed & allocated.keys()),
    "live", len(live),
    "tagged", sum(sized >> SIZE_BITS >= TAG_GIVEN for sized in allocated.values()),
    "weight", round(sum(map(weight_of, allocated.values()))),
    "live_weight", round(sum(map(weight_of, live.values()))),
)
