#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes files that mean harm to a reader of ELF and call frame information, from a good shared object.

usage: stacks_hostile.py GOOD DIRECTORY

Prints the path of each. Those that the dynamic linker still loads, because only what it does not look at is damaged,
end in ".loads", the others in ".maps".
"""
import hashlib
import os
import struct
import sys

EHDR = struct.Struct("<16sHHIQQQIHHHHHH")
SHDR = struct.Struct("<IIQQQQIIQQ")
PHDR = struct.Struct("<IIQQQQQQ")
PT_GNU_EH_FRAME = 0x6474E550


class Elf:
    """A copy of the good file, with places in it that can be overwritten."""

    def __init__(self, data):
        self.data = bytearray(data)
        self.head = list(EHDR.unpack_from(self.data))
        self.sections = {}
        names = self.section(self.head[13])
        for i in range(self.head[12]):
            at = self.head[6] + i * SHDR.size
            section = SHDR.unpack_from(self.data, at)
            start = names[4] + section[0]
            name = bytes(self.data[start : self.data.index(b"\0", start)]).decode()
            self.sections[name] = (at, section)

    def section(self, i):
        return SHDR.unpack_from(self.data, self.head[6] + i * SHDR.size)

    def set_section(self, name, field, value):
        at, section = self.sections[name]
        section = list(section)
        section[field] = value
        SHDR.pack_into(self.data, at, *section)
        self.sections[name] = (at, tuple(section))

    def segment(self, kind):
        for i in range(self.head[10]):
            at = self.head[5] + i * PHDR.size
            if struct.unpack_from("<I", self.data, at)[0] == kind:
                return at
        raise SystemExit("no such segment")

    def set_build_id(self, name):
        """One of its own: files of the same are read once."""
        if ".note.gnu.build-id" in self.sections:
            at = self.sections[".note.gnu.build-id"][1][4] + 16
            self.data[at : at + 20] = hashlib.sha1(name.encode()).digest()

    def frames(self):
        """Where .eh_frame lies in the file, and its size."""
        return self.sections[".eh_frame"][1][4], self.sections[".eh_frame"][1][5]

    def put(self, at, fmt, *values):
        struct.pack_into("<" + fmt, self.data, at, *values)

    def entries(self):
        """Offsets in the file of each CIE and FDE."""
        start, size = self.frames()
        at = start
        while at + 4 <= start + size:
            length = struct.unpack_from("<I", self.data, at)[0]
            if not length:
                return
            yield at, length, struct.unpack_from("<I", self.data, at + 4)[0]
            at += 4 + length


def cut_in_frames(elf):
    start, size = elf.frames()
    del elf.data[start + size // 2 :]


def sections_overlap(elf):
    start, size = elf.frames()
    elf.set_section(".eh_frame_hdr", 4, start)
    elf.set_section(".text", 4, start + 8)
    elf.set_section(".text", 5, size)
    elf.set_section(".eh_frame", 5, len(elf.data) - start)


def sections_far_away(elf):
    elf.set_section(".eh_frame", 4, 1 << 62)
    elf.set_section(".eh_frame", 5, (1 << 63) - 1)
    elf.set_section(".symtab", 5, (1 << 64) - 1)
    elf.set_section(".strtab", 4, (1 << 64) - 8)


def sections_without_number(elf):
    elf.put(40, "Q", (1 << 64) - 64)
    elf.put(60, "H", 0)


def section_of_names_outside(elf):
    elf.put(62, "H", 0xFFFE)


def segments_many(elf):
    elf.put(56, "H", 0xFFFE)


def cie_is_fde(elf):
    """Each FDE takes itself, or the one before, for its CIE."""
    for at, _, number in elf.entries():
        if number:
            elf.put(at + 4, "I", 4)


def cie_cycle(elf):
    for at, _, number in elf.entries():
        if number:
            elf.put(at + 4, "I", (at + 4 - elf.frames()[0] + 8) & 0xFFFFFFFF)
            elf.put(at + 8, "I", 0)


def cie_outside(elf):
    for at, _, number in elf.entries():
        if number:
            elf.put(at + 4, "I", 0x7FFFFFF0)


def lengths_huge(elf):
    for at, _, number in list(elf.entries()):
        if number:
            elf.put(at, "I", 0xFFFFFFF0)


def lengths_of_64_bits(elf):
    for at, _, number in list(elf.entries()):
        if number:
            elf.put(at, "IQ", 0xFFFFFFFF, (1 << 64) - 13)
            return


def length_one(elf):
    start, size = elf.frames()
    for at in range(start, start + size - 4, 4):
        elf.put(at, "I", 1)


def table_count_huge(elf):
    at = elf.sections[".eh_frame_hdr"][1][4]
    elf.put(at + 8, "I", 0xFFFFFFFF)


def table_points_wild(elf):
    at = elf.sections[".eh_frame_hdr"][1][4]
    size = elf.sections[".eh_frame_hdr"][1][5]
    for i in range(at + 12, at + size - 7, 8):
        elf.put(i, "iI", -(1 << 31) + i * 7919 % 4096, 0x7FFFFFFF - i)
    elf.put(at + 4, "i", 0x7FFFFFFF)


def table_segment_wild(elf):
    at = elf.segment(PT_GNU_EH_FRAME)
    elf.put(at + 8, "Q", (1 << 64) - 4)
    elf.put(at + 16, "Q", (1 << 63) - 1)
    elf.put(at + 32, "Q", (1 << 64) - 1)
    elf.put(at + 40, "Q", (1 << 64) - 1)


def fdes_cover_all(elf):
    """Every FDE is said to cover everything."""
    for at, _, number in elf.entries():
        if number:
            elf.put(at + 8, "i", -0x7FFFFFFF)
            elf.put(at + 12, "I", 0xFFFFFFFF)


def instructions_advance(elf):
    """Programs of nothing but advances, remembered states and unfinished numbers."""
    for i, (at, length, number) in enumerate(elf.entries()):
        if number and length > 17:
            fill = (b"\x0a", b"\x41", b"\x04\xff\xff\xff\xff", b"\x0e\xff\xff\xff")[i % 4]
            body = (fill * length)[: length - 13]
            elf.data[at + 17 : at + 4 + length] = body


def expressions_endless(elf):
    """Definitions by expressions whose length lies, or that loop."""
    for i, (at, length, number) in enumerate(elf.entries()):
        if number and length > 17:
            fill = (b"\x0f\xff\xff\xff\xff\x0f", b"\x0f\x03\x2f\xfd\xff", b"\x10\x06\x80")[i % 3]
            body = (fill * length)[: length - 13]
            elf.data[at + 17 : at + 4 + length] = body


def symbols_wild(elf):
    """Names out of bounds, sizes that cover all."""
    for name in (".symtab", ".dynsym"):
        if name not in elf.sections or name == ".dynsym":
            continue
        at, size = elf.sections[name][1][4:6]
        for i in range(at + 24, at + size - 23, 24):
            elf.put(i, "I", 0xFFFFFF00 + i % 251)
            elf.put(i + 16, "Q", (1 << 64) - 1)


def frames_zero(elf):
    start, size = elf.frames()
    elf.data[start : start + size] = bytes(size)


def other_machine(elf):
    elf.put(18, "H", 183 if elf.head[2] == 62 else 62)


def of_32_bits(elf):
    elf.data[4] = 1


def header_alone(elf):
    del elf.data[64:]


def nothing(elf):
    del elf.data[:]


# What the dynamic linker itself uses is whole in the first list.
LOADS = [
    sections_overlap, sections_far_away, sections_without_number, section_of_names_outside, cie_is_fde, cie_cycle,
    cie_outside, lengths_huge, lengths_of_64_bits, length_one, table_count_huge, table_points_wild,
    table_segment_wild, fdes_cover_all, instructions_advance, expressions_endless, symbols_wild, frames_zero,
]
MAPS = [cut_in_frames, segments_many, other_machine, of_32_bits, header_alone, nothing]


def main():
    good, directory = sys.argv[1:]
    with open(good, "rb") as file:
        data = file.read()
    os.makedirs(directory, exist_ok=True)
    for makers, kind in ((LOADS, "loads"), (MAPS, "maps")):
        for make in makers:
            elf = Elf(data)
            elf.set_build_id(make.__name__)
            make(elf)
            path = os.path.join(directory, make.__name__ + "." + kind)
            with open(path, "wb") as file:
                file.write(elf.data)
            print(path)


if __name__ == "__main__":
    main()
