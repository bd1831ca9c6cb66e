#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares the stacks of a capture with those that gdb found in another run of the same program.

usage: compare_stacks.py CAPTURE GDB_FILE

Both runs must have their code at the same addresses. The n-th allocation of the one is held against the n-th of the
other, shifted by what only one of them has seen at its beginning. The shift is the one where the innermost frames are
the same; if it is not so for all, since the runs differ, each of gdb's stacks is looked for among all of the capture's. Prints "compared N, same N, cut short N, wrong N, METHOD" and some that differ. Cut short is what says
of itself that it is not complete, and is the inner part of gdb's. Beyond the samples, all that say to be complete must
end where one of gdb's does. Exit status 0 when all are the same, 1 when some are cut short, 2 when any is wrong.
"""
import json
import sys

from stacks_capture import Capture

MAX_FRAMES = 247  # that a capture keeps of a stack


def is_code(maps, address):
    return any(start <= address < end for start, end in maps)


def executable(maps):
    """[start, end) of what can hold code in the text of /proc/PID/maps."""
    words = (line.split() for line in maps.splitlines())
    return [tuple(int(word, 16) for word in line[0].split("-")) for line in words if "x" in line[1]]


def trim(frames, maps):
    """Beyond the entry of the dynamic linker, for which it has no rules, gdb goes on into what is no code."""
    end = next((i for i, address in enumerate(frames) if not is_code(maps, address)), len(frames))
    return tuple(frames[: min(end, MAX_FRAMES)])


class Run:
    """The stack of each allocation, of the process image that made the most."""

    def __init__(self, path):
        capture = Capture(path)
        self.allocs = max(capture.allocs.values(), key=len, default=[])
        self.stacks, self.partial = capture.stacks, capture.partial

    def stack(self, number):
        return self.stacks.get(self.allocs[number], ()) if 0 <= number < len(self.allocs) else ()

    def is_partial(self, number):
        return 0 <= number < len(self.allocs) and self.allocs[number] in self.partial

    def end_elsewhere(self, ends):
        """How many allocations have a stack that is said to be complete, but ends at none of these."""
        return sum(1 for stack in self.allocs if stack not in self.partial and self.stacks[stack][-1] not in ends)

    def all(self):
        return {self.stacks.get(stack, ()) for stack in self.allocs}


def callers_at(run, samples, shift):
    """How many innermost frames agree; those are no matter of unwinding."""
    return sum(1 for number, stack in samples if run.stack(number + shift)[:1] == stack[:1])


def best_shift(run, samples):
    few = samples[:: max(1, len(samples) // 23)]
    first = -samples[-1][0] if samples else 0
    return max(range(first, len(run.allocs) + 1), key=lambda shift: callers_at(run, few, shift))


def place(maps, address):
    """An address as a place in a file."""
    for line in maps.splitlines():
        words = line.split()
        start, end = (int(word, 16) for word in words[0].split("-"))
        if start <= address < end:
            return "%#x  %s+%#x" % (address, words[5] if len(words) > 5 else "", address - start + int(words[2], 16))
    return "%#x" % address


def show(maps, title, stack):
    print("  %s:" % title)
    for address in stack:
        print("    " + place(maps, address))


def main():
    run = Run(sys.argv[1])
    with open(sys.argv[2]) as file:
        found = json.load(file)
    maps = executable(found["maps"])
    samples = [(sample["number"], trim(sample["frames"], maps)) for sample in found["samples"]]
    shift = best_shift(run, samples)
    aligned = callers_at(run, samples, shift)
    if aligned == len(samples):
        method = "each by its number, shifted by %d" % shift
        differing = [sample for sample in samples if run.stack(sample[0] + shift) != sample[1]]
    else:
        every = run.all()
        method = "each among all %d, for the runs differ: %d by number" % (len(every), aligned)
        differing = [sample for sample in samples if sample[1] not in every]
    short = [
        number
        for number, stack in differing
        if run.is_partial(number + shift) and stack[: len(run.stack(number + shift))] == run.stack(number + shift)
    ]
    wrong = [sample for sample in differing if sample[0] not in short]
    print(
        "compared %d, same %d, cut short %d, wrong %d, %s"
        % (len(samples), len(samples) - len(differing), len(short), len(wrong), method)
    )
    elsewhere = run.end_elsewhere({stack[-1] for _, stack in samples if stack})
    if elsewhere:
        print("%d of %d are said to be complete, and end elsewhere" % (elsewhere, len(run.allocs)))
    for number, stack in (wrong or differing)[:3]:
        print("allocation %d:" % number)
        show(found["maps"], "gdb", stack)
        show(found["maps"], "seep", run.stack(number + shift))
    return 2 if wrong or elsewhere else 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
