# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside gdb: the stacks of some of the allocations of a program, as gdb unwinds them.

gdb --batch -x stacks_gdb.py --args PROGRAM...; the environment says the rest:

STACKS_OUT       the file to write
STACKS_ENTRIES   the allocating functions: "NAME ADDRESS SIZE,..." as the C library's symbol table has them
STACKS_LIBRARY   how the C library's path ends
STACKS_SKIP      so many calls of malloc() are let pass
STACKS_STRIDE    of all calls after them every so many one is taken
STACKS_WANTED    how many to take

A call counts when it does not come from another of these functions. Written is JSON: "samples", each with the number of
its call, and the return addresses from the caller on outwards; and "maps", the
program's /proc/PID/maps at the last one.
"""
import json
import os

import gdb

MAX_FRAMES = 300


def setting(name):
    return os.environ["STACKS_" + name]


def frames_from_caller():
    """Functions that were inlined, or have left by a jump, have no frame of their own."""
    frames = []
    frame = gdb.newest_frame().older()
    while frame is not None and len(frames) < MAX_FRAMES:
        if frame.type() not in (gdb.INLINE_FRAME, gdb.TAILCALL_FRAME):
            frames.append(frame.pc())
        frame = frame.older()
    return frames


class Sampler:
    def __init__(self):
        self.stride = int(setting("STRIDE"))
        self.wanted = int(setting("WANTED"))
        self.ranges = []
        self.entries = {}
        self.calls = 0
        self.last = None
        self.samples = []
        self.maps = ""

    def is_full(self):
        return len(self.samples) >= self.wanted

    def called(self):
        """True when the program is to stop."""
        entry, stack = int(gdb.parse_and_eval("$pc")), int(gdb.parse_and_eval("$sp"))
        word = gdb.selected_inferior().read_memory(stack, 8)
        caller = int.from_bytes(bytes(word), "little")
        last, self.last = self.last, (stack, caller, entry)
        if any(start <= caller < end for start, end in self.ranges):
            return False
        # The same call once more: realloc() may end with a jump to malloc().
        if last == (stack, caller, self.entries["realloc"]) and entry != last[2]:
            return False
        number = self.calls
        self.calls += 1
        if number % self.stride == 0:
            self.samples.append({"number": number, "frames": frames_from_caller()})
            self.maps = read_maps()
        return self.is_full()


class Entry(gdb.Breakpoint):
    def __init__(self, sampler, address):
        super().__init__("*%#x" % address, internal=True)
        self.silent = True
        self.sampler = sampler

    def stop(self):
        return self.sampler.called()


def skip(entry):
    """Counting in gdb itself takes a fraction of the time."""
    calls = int(setting("SKIP"))
    if not calls:
        return
    breakpoint = gdb.Breakpoint("*%#x" % entry, internal=True)
    breakpoint.ignore_count = calls
    gdb.execute("continue", to_string=True)
    breakpoint.delete()


def read_maps():
    with open("/proc/%d/maps" % gdb.selected_inferior().pid) as file:
        return file.read()


def library_base():
    """Where the C library's address 0 lies, or None before it is mapped."""
    for line in read_maps().splitlines():
        words = line.split()
        if words[-1].endswith(setting("LIBRARY")) and int(words[2], 16) == 0:
            return int(words[0].split("-")[0], 16)
    return None


def prepare():
    for command in (
        "set pagination off",
        "set confirm off",
        "set debuginfod enabled off",
        "set disable-randomization on",
        "set startup-with-shell off",
        "set backtrace past-main on",
        "set backtrace past-entry on",
        "set backtrace limit %d" % MAX_FRAMES,
        "unset environment LINES",
        "unset environment COLUMNS",
        "handle all nostop noprint pass",
        "handle SIGTRAP stop print nopass",
        "set stop-on-solib-events 1",
    ):
        gdb.execute(command, to_string=True)
    for name in [name for name in os.environ if name.startswith("STACKS_")]:
        gdb.execute("unset environment " + name)


def main():
    sampler = Sampler()
    prepare()
    gdb.execute("starti", to_string=True)
    while library_base() is None:
        gdb.execute("continue", to_string=True)
    gdb.execute("set stop-on-solib-events 0")
    base = library_base()
    for entry in setting("ENTRIES").split(","):
        name, address, size = entry.split()
        start = base + int(address, 16)
        sampler.entries[name] = start
        sampler.ranges.append((start, start + int(size)))
    skip(sampler.entries["malloc"])
    for start in set(sampler.entries.values()):
        Entry(sampler, start)
    while not sampler.is_full() and gdb.selected_inferior().pid:
        gdb.execute("continue", to_string=True)
    if gdb.selected_inferior().pid:
        gdb.execute("kill", to_string=True)
    with open(setting("OUT"), "w") as file:
        json.dump({"samples": sampler.samples, "maps": sampler.maps}, file)


main()
