-- SPDX-License-Identifier: GPL-2.0-or-later
-- What a program does that keeps rows in a database.
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, kind INTEGER, price REAL);
CREATE INDEX by_kind ON item(kind, name);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20011)
INSERT INTO item SELECT i, 'item number ' || i * 7919 % 20011, i % 97, i / 7.0 FROM n;
SELECT kind, count(*), group_concat(substr(name, 13), '-') FROM item GROUP BY kind ORDER BY sum(price) LIMIT 5;
DROP TABLE item;
