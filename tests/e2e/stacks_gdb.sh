#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The stacks of programs that were not written for this, held against those that gdb finds in another run: the same
# allocations, by their number, have the same return addresses, from the caller of the allocator to the outermost one.
# Both runs have the same addresses, environment and input.
set -u
. "$TOP/tests/e2e/lib.sh"
. "$TOP/tests/e2e/stacks_lib.sh"

WANTED=211
# Whatever the library, these are its entries; each address once is enough.
ENTRIES='^(malloc|calloc|realloc|memalign|aligned_alloc|posix_memalign|valloc|pvalloc)$'

# entries_of LIBRARY: the names, addresses and sizes of its allocating functions, for stacks_gdb.py.
entries_of() {
	readelf --dyn-syms -W "$1" | awk -v entries="$ENTRIES" '$4 == "FUNC" && $7 != "UND" {
		sub(/@.*/, "", $8)
		if ($8 ~ entries) printf "%s%s %s %s", n++ ? "," : "", $8, $2, $3
	}'
}

# What both runs have in common, beyond the input, which is a pipe. SETTINGS are more variables, OWNER is who it runs as.
SAME=(setarch -R env -i PATH=/usr/bin:/bin LC_ALL=C)
OWNER=()
SETTINGS=()

run_gdb() { # STRIDE COMMAND...
	local stride=$1 library
	shift
	library=$(ldd "$1" | awk '$1 == "libc.so.6" { print $3 }')
	timeout -k 5 120 "${OWNER[@]}" "${SAME[@]}" "${SETTINGS[@]}" STACKS_OUT="$SHARE/gdb.json" \
		STACKS_ENTRIES="$(entries_of "$library")" STACKS_LIBRARY=/libc.so.6 STACKS_STRIDE="$stride" \
		STACKS_SKIP="$SKIP" STACKS_WANTED="$WANTED" \
		gdb -nx -q --batch -x "$SHARE/stacks_gdb.py" --args "$@" >"$WORK/gdb.out" 2>"$WORK/gdb.err" < <(cat "$INPUT")
	[ -s "$SHARE/gdb.json" ]
}

# Attached to when the program has been loaded and is about to read its input.
run_record() { # COMMAND...
	waiting_start "$INPUT" "${OWNER[@]}" "${SAME[@]}" "${SETTINGS[@]}" "$@"
	if ! seep_start record -o "$WORK/capture.seep" -p "$WAITING"; then
		waiting_end
		return 1
	fi
	waiting_go
	seep_wait
	waiting_end
	[ -s "$WORK/capture.seep" ]
}

# compare NAME SKIP STRIDE COMMAND...: every so many allocations of gdb's run, after the first ones. A function `restore`
# puts things as they were before the program ran.
compare() {
	local program=$1 name="the stacks of $1 are those of gdb" stride=$3 found
	SKIP=$2
	shift 3
	rm -f "$WORK/capture.seep" "$SHARE/gdb.json"
	restore
	run_record "$@" || { fails "$name" "$(tail -n 3 "$WORK/seep.err")"; return; }
	restore
	run_gdb "$stride" "$@" || { fails "$name" "gdb: $(tail -n 3 "$WORK/gdb.err")"; return; }
	found=$(python3 -B "$TOP/tests/e2e/compare_stacks.py" "$WORK/capture.seep" "$SHARE/gdb.json" 2>&1)
	STATUS=$?
	echo "# $program: ${found%%$'\n'*}"
	[[ $found == "compared $WANTED, "* ]] || STATUS=3
	case $STATUS in
	0 | 1) passes "$name: none is wrong" ;;
	*) fails "$name: none is wrong" "$found" ;;
	esac
	if [ "$STATUS" = 0 ]; then
		passes "$name: all are whole"
	else
		fails "$name: all are whole" "$found"
	fi
}

missing() { # NAME PROGRAM...
	local name=$1 program
	shift
	if [ "$(uname -m)" != x86_64 ]; then
		skips "the stacks of $name are those of gdb" "n/a: written for x86-64 alone"
		return 0
	fi
	for program in gdb "$@"; do
		command -v "$program" >/dev/null && continue
		skips "the stacks of $name are those of gdb" "$program is not installed"
		return 0
	done
	return 1
}

restore() {
	:
}

python_case() {
	local python=/usr/bin/python3
	missing python3 "$python" && return
	# Every object is a block of its own. The script's directory is read by the program and stays as it is.
	SETTINGS=(PYTHONHASHSEED=0 PYTHONMALLOC=malloc PYTHONDONTWRITEBYTECODE=1)
	mkdir -p "$SHARE/python"
	cp "$TOP/tests/e2e/stacks_work.py" "$SHARE/python/"
	INPUT=$SHARE/line
	echo >"$INPUT"
	compare python3 55000 97 "$(readlink -f "$python")" -s "$SHARE/python/stacks_work.py" 1
}

clang_case() {
	local clang
	missing clang clang++ && return
	clang=$(readlink -f "$(command -v clang++)")
	SETTINGS=()
	INPUT=$SHARE/input.cc
	cat >"$INPUT" <<'END'
#include <map>
#include <string>
#include <vector>
int count(const std::vector<std::string> &words)
{
	std::map<std::string, int> seen;
	for (const auto &word : words)
		seen[word]++;
	return static_cast<int>(seen.size());
}
END
	compare clang 8000 97 "$clang" -x c++ -O2 -c - -o "$SHARE/output.o"
}

POSTGRES_SQL="create table t (id int primary key, name text, data jsonb)
insert into t select i, repeat('x', i % 97), jsonb_build_object('a', i, 'b', array[i, i + 1]) from generate_series(1, 2003) i
create index on t (name, id)
analyze t
select name, count(*), string_agg(data::text, ',' order by id) from t group by name having count(*) > 3 order by 2 desc limit 7
select a.id, b.name, row_number() over (partition by a.name order by b.id) from t a join t b on a.id = b.id + 1 where a.data @> '{\"a\": 7}'
with recursive r(n) as (select 1 union all select n + 1 from r where n < 500) select sum(n), regexp_replace(max(n)::text, '(\\d)', 'x\\1', 'g') from r
do \$\$ begin for i in 1..97 loop perform count(*) from t where id < i; end loop; end \$\$
update t set data = data || '{\"c\": [1, 2, 3]}' where id % 3 = 0
select * from pg_stats where tablename = 't' order by attname
select count(*) from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_type y on y.oid = a.atttypid
explain select * from t a, t b, t c where a.id = b.id and b.id = c.id and c.name like 'x%'
drop table t"

restore_postgres() {
	rm -rf "$SHARE/data"
	cp -a "$SHARE/data.new" "$SHARE/data"
}

# It is in no PATH on Debian.
postgres_path() {
	command -v postgres || find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -V | tail -n 1
}

postgres_case() {
	local bin data=$SHARE/data
	bin=$(dirname "$(readlink -f "$(postgres_path)")")
	missing postgres "$bin/postgres" "$bin/initdb" setpriv && return
	if ! id postgres >/dev/null 2>&1; then
		skips "the stacks of postgres are those of gdb" "there is no user postgres"
		return
	fi
	SETTINGS=()
	OWNER=(setpriv --reuid=postgres --regid=postgres --clear-groups)
	chown postgres "$SHARE"
	if ! (cd "$SHARE" && "${OWNER[@]}" "$bin/initdb" -N -A trust --locale=C -D "$SHARE/data.new" >"$WORK/initdb.out" 2>&1); then
		fails "the stacks of postgres are those of gdb" "$(tail -n 3 "$WORK/initdb.out")"
		return
	fi
	INPUT=$SHARE/input.sql
	printf '%s\n' "$POSTGRES_SQL" "$POSTGRES_SQL" "$POSTGRES_SQL" >"$INPUT"
	restore() {
		restore_postgres
	}
	# Nothing that depends on the time, nothing that is loaded on the way.
	compare postgres 9300 23 "$bin/postgres" --single -F -D "$data" -c track_counts=off -c track_activities=off \
		-c jit=off -c shared_preload_libraries=plpgsql postgres
}

# A place that others than root can read.
SHARE=$(mktemp -d) || exit 1
trap 'cleanup; rm -rf "$SHARE"' EXIT
chmod 755 "$SHARE"
cp "$TOP/tests/e2e/stacks_gdb.py" "$SHARE/"
python_case
clang_case
postgres_case
plan
