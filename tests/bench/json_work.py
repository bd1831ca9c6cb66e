# SPDX-License-Identifier: GPL-2.0-or-later
"""What a Python program does that reads and writes JSON. usage: json_work.py ROUNDS"""
import json
import sys

for number in range(int(sys.argv[1])):
    rows = [{"id": i, "name": "row %d of %d" % (i, number), "tags": ["a%d" % (i % 7), "b"], "at": i / 7} for i in range(101)]
    text = json.dumps(rows, indent=1, sort_keys=True)
    back = json.loads(text)
    back.sort(key=lambda row: (row["tags"][0], -row["id"]))
    if sum(row["id"] for row in back) != 5050:
        sys.exit("wrong")
