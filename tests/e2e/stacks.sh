#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How many allocations of real programs, as they were installed, have a complete stack: one that ends where the process
# or the thread begins. A table of them is printed in comments.
set -u
. "$TOP/tests/e2e/lib.sh"
. "$TOP/tests/e2e/stacks_lib.sh"

SECONDS_EACH=2

# Numbers: allocations, those of them that have a complete stack, those whose stack is deeper than what is kept, and
# stacks. All are counted; of those stacks that are printed the outer end is looked at as well: who has names has that
# of an entry there, and a program without names its own or that of the C library.
# shellcheck disable=SC2016 # these are variables of jq
SUMS='
def begins($exe): (.stack[-1] // {function: "", module: ""}) |
	(.function | test("^(_start|_dl_start_user|(__)?clone3?|start_thread|thread_start|__libc_start_(main|call_main|main_impl))$")) or
	((.function | test("\\+0x[0-9a-f]+$")) and
	((.module // "" | split("/") | last) as $file | ["libc.so.6", "ld-linux-x86-64.so.2", $exe] | index($file) != null));
(.target | if type == "array" then .[0] else . end | .exe // "" | split("/") | last) as $exe |
([.sites[] | select(.stack_partial | not) | select(begins($exe) | not) | .alloc_objects] | add // 0) as $wrong |
.balance | (.allocs_partial + .stacks_unknown + .lost_events + $wrong) as $without |
"\(.allocs) \(.allocs - $without) \(.allocs_too_deep) \(.stacks) \($wrong)"
'

# verdict PROGRAM TENTHS: of the report in seep.out; at least so many tenths of a percent must be complete.
verdict() {
	local name="$1: complete stacks" least=$2 all whole deep stacks wrong
	if ! read -r all whole deep stacks wrong < <(tail -n 1 "$WORK/seep.out" | jq -r "$SUMS") || [ "${all:-0}" = 0 ]; then
		fails "$name" "no allocations, status $STATUS" "$(tail -n 3 "$WORK/seep.err")"
		return
	fi
	printf '# %-12s %9d allocations %6d stacks %7s %%  %s\n' "$1" "$all" "$stacks" \
		"$(awk -v n="$whole" -v all="$all" 'BEGIN { printf "%.2f", int(n * 10000 / all) / 100 }')" \
		"$([ "$deep" = 0 ] || echo "$deep have more frames than are kept")"
	if [ $((whole * 1000)) -ge $((all * least)) ] && { [ "$STATUS" = 0 ] || [ "$STATUS" = 3 ]; }; then
		passes "$name"
	else
		fails "$name" "$whole of $all, $deep too deep, status $STATUS; $wrong end elsewhere" \
			"$(tail -n 1 "$WORK/seep.out" | jq -c '[.losses, .incomplete_why]')" "$(incomplete)"
	fi
}

incomplete() {
	tail -n 1 "$WORK/seep.out" | jq -r '.sites | map(select(.stack_partial)) | sort_by(-.alloc_objects)[:5][] |
		"\(.alloc_objects) \(.stack | map(.function | gsub(" "; "")) | join(" "))"' | cut -c 1-400
}

# follow PID [OPTION...]: for a while.
follow() {
	local pid=$1
	shift
	STATUS=
	: >"$WORK/seep.out"
	seep_start leaks --json --top 500 --max-stacks 256K "$@" -p "$pid"
}

follow_a_while() {
	follow "$1" -d "$SECONDS_EACH" && seep_wait
}

# has PROGRAM COMMAND...: or else the case is skipped.
has() {
	local name=$1 command
	shift
	for command; do
		type -P "$command" >/dev/null && continue
		skips "$name: complete stacks" "$command is not installed"
		return 1
	done
}

# load COMMAND...: what keeps a server busy, until load_stop.
load() {
	open_pipe load
	LOAD_TOLD=$FD
	spawn "$LOAD_TOLD" run_load "$@"
	LOAD=$PID
}

run_load() {
	exec "$@" >"$WORK/load.out" 2>&1 </dev/null
}

load_stop() {
	kill -KILL "$LOAD" 2>/dev/null
	exec {LOAD_TOLD}>&-
}

# server COMMAND...: its id is in SERVER.
server() {
	open_pipe server
	spawn "$FD" run_server "$@"
	SERVER=$PID
}

run_server() {
	exec "$@" >"$WORK/server.out" 2>&1 </dev/null
}

# endless PROGRAM TENTHS COMMAND...: one that works until it is ended.
endless() {
	local name=$1 least=$2
	shift 2
	has "$name" "$1" || return
	target_start "$@" && follow_a_while "$TARGET_PID"
	target_stop
	verdict "$name" "$least"
}

# --- interpreters -----------------------------------------------------------------------------------

# shellcheck disable=SC2016 # variables of Perl
PERL_WORK='
$| = 1;
for (my $n = 0;; $n++) {
	my %words;
	my $text = join " ", map { "word$_ " . ("x" x ($_ % 31)) } 1 .. 500;
	$words{lc $1}{$2 // ""}++ while $text =~ /(\w+?)(\d+)?\b/g;
	my @sorted = sort { length $a <=> length $b or $a cmp $b } keys %words;
	my $made = eval "sub { my \$x = shift; return [map { \$_ x \$x } qw(@sorted[0 .. 20])] }" or die;
	$made->($n % 7);
	eval { die { code => sprintf("%s-%05d", $sorted[0], $n) } };
	print "ready\n" if $n == 0;
}
'

NODE_WORK='
const crypto = require("crypto"), zlib = require("zlib");
function work(n) {
	const data = Array.from({length: 300}, (_, i) => ({i, text: "some text ".repeat(i % 17), n}));
	const text = JSON.stringify(data);
	const packed = zlib.deflateSync(text);
	const digest = crypto.createHash("sha256").update(packed).digest("hex");
	const words = new Map(text.match(/[a-z]+|\d{2,}/g).map((word, i) => [word + i, Buffer.from(word)]));
	return new Intl.NumberFormat("en").format(words.size) + digest + new URL("http://host/" + n).href;
}
let n = 0;
work(n);
console.log("ready");
setInterval(() => work(n++), 1);
'

interpreters() {
	mkdir -p "$WORK/python"
	cp "$TOP/tests/e2e/stacks_work.py" "$WORK/python/"
	endless python3 999 /usr/bin/python3 "$WORK/python/stacks_work.py" 0
	endless perl 999 perl -e "$PERL_WORK"
	if type -P node >/dev/null; then
		echo "# node is $(type -P node), $(node --version)"
	fi
	endless node 990 node -e "$NODE_WORK"
}

# --- servers ----------------------------------------------------------------------------------------

redis_case() {
	local socket=$WORK/redis.sock
	has redis-server redis-server redis-benchmark redis-cli || return
	server redis-server --port 0 --unixsocket "$socket" --save "" --appendonly no --dir "$WORK" --logfile "$WORK/redis.log"
	wait_until redis-cli -s "$socket" ping >/dev/null 2>&1
	load redis-benchmark -s "$socket" -l -n 100000 -r 10000 -c 5 -t set,get,lpush,sadd,hset,zadd,mset --csv
	follow_a_while "$SERVER"
	load_stop
	kill -KILL "$SERVER"
	verdict redis-server 999
}

# shellcheck disable=SC2016 # variables of nginx
NGINX_CONFIG='daemon off; user root; worker_processes 1; error_log WORK/nginx.log; pid WORK/nginx.pid;
events { worker_connections 64; }
http {
	access_log off; gzip on; gzip_types text/plain; gzip_min_length 100;
	client_body_temp_path WORK/t1; proxy_temp_path WORK/t2; fastcgi_temp_path WORK/t3;
	uwsgi_temp_path WORK/t4; scgi_temp_path WORK/t5;
	server {
		listen unix:WORK/nginx.sock; root WORK;
		location / { rewrite ^/([a-z]+)-(\d+)$ /$1.txt?n=$2; autoindex on; }
	}
}'

NGINX_LOAD='
import http.client, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
while True:
    connection = Connection("localhost")
    for path in ("/page-7", "/", "/none", "/page.txt?x"):
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        connection.getresponse().read()
    connection.close()
'

nginx_worker() {
	WORKER=$(pgrep -P "$SERVER" -f "worker process")
}

nginx_case() {
	local nginx
	nginx=$(PATH=$PATH:/usr/sbin type -P nginx)
	has nginx "${nginx:-nginx}" python3 pgrep || return
	seq 5000 >"$WORK/page.txt"
	printf '%s\n' "${NGINX_CONFIG//WORK/$WORK}" >"$WORK/nginx.conf"
	server "$nginx" -e "$WORK/nginx.log" -c "$WORK/nginx.conf"
	wait_until nginx_worker
	started+=("$WORKER")
	load python3 -c "$NGINX_LOAD" "$WORK/nginx.sock"
	follow_a_while "$WORKER"
	load_stop
	kill -KILL "$SERVER" "$WORKER"
	verdict nginx 999
}

# It is in no PATH on Debian.
postgres_path() {
	type -P postgres || find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -V | tail -n 1
}

PGBENCH_WORK="\\set n random(1, 1000)
select abalance from pgbench_accounts where aid = :n;
select bid, count(*), string_agg(aid::text, ',' order by filler, aid) from pgbench_accounts where aid < :n group by bid having count(*) > 0;
with r as (select aid, row_number() over (order by abalance) n from pgbench_accounts where aid % 7 = 3 limit 500) select max(n), regexp_replace(min(aid)::text, '(\\d)', 'x\\1') from r;
update pgbench_tellers set tbalance = tbalance + 1 where tid = 3;
select jsonb_object_agg(aid, array[bid, abalance]) from pgbench_accounts where aid < 53;
"

backend() {
	BACKEND=$("${PSQL[@]}" -c "select pid from pg_stat_activity where application_name = 'pgbench' and query like '%aid%' limit 1" 2>/dev/null)
	[ -n "$BACKEND" ]
}

postgres_ready() {
	"${PSQL[@]}" -c "select 1" >/dev/null 2>&1
}

postgres_case() {
	local bin user=(setpriv --reuid=postgres --regid=postgres --clear-groups env -C /tmp)
	bin=$(dirname "$(readlink -f "$(postgres_path)")")
	has postgres "$bin/postgres" "$bin/initdb" "$bin/pgbench" setpriv || return
	if ! id postgres >/dev/null 2>&1; then
		skips "postgres: complete stacks" "there is no user postgres"
		return
	fi
	SHARE=$(mktemp -d) || return
	chown postgres "$SHARE"
	PSQL=("${user[@]}" "$bin/psql" -h "$SHARE" -d postgres -XAtq)
	"${user[@]}" "$bin/initdb" -N -A trust --locale=C -D "$SHARE/data" >"$WORK/initdb.out" 2>&1
	server "${user[@]}" "$bin/postgres" -F -D "$SHARE/data" -k "$SHARE" -h ""
	wait_until postgres_ready
	"${user[@]}" "$bin/pgbench" -h "$SHARE" -i -q postgres >"$WORK/pgbench.out" 2>&1
	printf '%s' "$PGBENCH_WORK" >"$SHARE/work.sql"
	load "${user[@]}" "$bin/pgbench" -h "$SHARE" -n -f "$SHARE/work.sql" -T 60 postgres
	wait_until backend
	follow_a_while "$BACKEND"
	load_stop
	kill -INT "$SERVER"
	wait_until is_gone "$SERVER"
	verdict postgres 999
}

# --- programs that end ------------------------------------------------------------------------------

# waiting PROGRAM TENTHS INPUT COMMAND...: from where it reads its input, to its end.
waiting() {
	local name=$1 least=$2 input=$3
	shift 3
	waiting_start "$input" "$@"
	if follow "$WAITING"; then
		waiting_go
		seep_wait
	fi
	waiting_end
	verdict "$name" "$least"
}

# A repository of 211 commits, from a stream for git fast-import.
git_repository() {
	local i
	git init -q "$WORK/repository" || return
	for ((i = 1; i <= 211; i++)); do
		printf 'commit refs/heads/main\ncommitter A <a@b> %d +0000\ndata 9\ncommit %s\n' $((1700000000 + i * 60)) x
		printf 'M 100644 inline file%d.txt\ndata <<END\n' $((i % 7))
		seq $((i * 3)) $((i * 5))
		printf 'END\n\n'
	done | git -C "$WORK/repository" fast-import --quiet
}

programs_that_end() {
	if has git git && git_repository; then
		echo main >"$WORK/revisions"
		waiting git 999 "$WORK/revisions" git -C "$WORK/repository" --no-pager log -p --stat -M -C --format=fuller --stdin
	fi
	if has clang++ clang++; then
		printf '#include <%s>\n' algorithm map string vector >"$WORK/heavy.cc"
		echo 'std::string f(std::map<int, std::string> &m) { return m[0] + std::to_string(m.size()); }' >>"$WORK/heavy.cc"
		waiting clang++ 999 "$WORK/heavy.cc" clang++ -x c++ -std=c++17 -O2 -c - -o "$WORK/heavy.o"
	fi
}

SHARE=
trap 'cleanup; [ -z "$SHARE" ] || rm -rf "$SHARE"' EXIT
interpreters
endless c++ 999 "$BUILD/tests/e2e/stacks_cxx"
redis_case
nginx_case
postgres_case
programs_that_end
plan
