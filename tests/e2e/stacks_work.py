# SPDX-License-Identifier: GPL-2.0-or-later
"""What Python programs do that allocates.

usage: stacks_work.py ROUNDS. Begins when it has read a line; 0 begins at once, says "ready" and has no end.
"""
import collections
import functools
import hashlib
import json
import re
import sys
import zlib


class Node:
    def __init__(self, value, left=None, right=None):
        self.value, self.left, self.right = value, left, right

    def __iter__(self):
        for side in (self.left, self.right):
            if side:
                yield from side
        yield self.value


def tree(depth):
    return Node(b"x" * (1000 + depth), *(tree(depth - 1) for _ in range(2) if depth))


@functools.lru_cache(maxsize=31)
def digest(text):
    return hashlib.sha256(text.encode() * 100).hexdigest()


def work(number):
    total = sum(len(value) for value in tree(5))
    data = {str(i): ["some text, longer than it has to be"] * (i % 29) for i in range(211)}
    text = json.dumps(data, indent=1)
    words = collections.Counter(re.findall(r"(?:[a-z]+|\d{2,})", text))
    packed = zlib.compress(text.encode() + bytes(number % 7))
    ordered = sorted(json.loads(zlib.decompress(packed)[: len(text)]).items(), key=lambda item: digest(item[0]))
    code = compile("\n".join("def f%d(x): return [x for x in range(%d)]" % (i, i) for i in range(41)), "made", "exec")
    exec(code, {})
    try:
        "".join(str(i) for i in range(997)).encode().decode("utf-16")
    except UnicodeDecodeError as error:
        words[str(error)] += 1
    return total + len(ordered) + len(words)


def main():
    rounds = int(sys.argv[1])
    number = 0
    if rounds:
        sys.stdin.readline()
    while not rounds or number < rounds:
        work(number)
        number += 1
        if number == 1 and not rounds:
            print("ready", flush=True)


main()
