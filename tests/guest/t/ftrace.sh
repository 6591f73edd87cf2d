# shellcheck shell=bash
# The module's Rust functions in the kernel's function tracer, in kprobe events and in bpftrace.
# guest: limit=120

tracing=/sys/kernel/tracing

# A volume with a file of 1 MiB, mounted at m.
volume_with_file() {
	[[ $MODULE == rext2 ]] || skip "not our module"
	mkdir files
	head -c 1M /dev/urandom > files/file
	make_volume "$DISK1" -d files
	mount_volume "$DISK1" m ro
}

# The function tracer belongs to the whole guest: back to nothing, whatever a test leaves.
trace_nothing() {
	echo 0 > "$tracing/events/enable"
	echo 1 > "$tracing/tracing_on"
	echo nop > "$tracing/current_tracer"
	echo 1 > /proc/sys/kernel/ftrace_enabled
	echo > "$tracing/set_ftrace_filter"
	echo > "$tracing/set_graph_function"
	echo > "$tracing/set_ftrace_pid"
	echo > "$tracing/kprobe_events"
	echo > "$tracing/trace"
}

# trace_functions TRACER FILTER...: from now on TRACER shows these functions.
trace_functions() {
	local filter
	defer trace_nothing
	for filter in "${@:2}"; do
		echo "$filter" >> "$tracing/set_ftrace_filter"
	done
	echo "$1" > "$tracing/current_tracer"
}

# What was traced so far; a change of tracers would throw it away.
keep_trace() {
	echo 0 > "$tracing/tracing_on"
	cat "$tracing/trace" > trace
}

# The module's functions that ftrace knows.
traceable() { sed -n "s/ \[$MODULE\]$//p" "$tracing/available_filter_functions" | sort -u; }

# function_named REGEX: the one function of the module whose mangled name matches; each part of such a name has its
# length before it.
function_named() {
	local found
	found=$(traceable | grep -E -- "$1") || fail "no traceable function matches $1"
	[[ $found != *$'\n'* ]] || fail "several functions match $1: $found"
	echo "$found"
}

read_iter() { function_named '9FileTable.*11RegularFileE9read_iter'; }
readahead() { function_named '9AopsTable.*5PagesE9readahead'; }

# The file at m/file is read from the disk.
read_cold() {
	drop_caches
	cat m/file > /dev/null
}

# Rust symbols of this compiler start with _R; code of the init section is gone by now. A site is at its function's
# start, or behind 4 bytes of endbr64. By address: functions with equal code may share one.
test_every_rust_function_is_listed() {
	[[ $MODULE == rext2 ]] || skip "not our module"
	gawk -v module="[$MODULE]" '
		function low(address) { return strtonum("0x" substr(address, length(address) - 7)) }
		FILENAME != "/proc/kallsyms" { site[low($1)]; next }
		$4 == module && $2 ~ /[tT]/ && $3 ~ /^_R/ {
			functions++
			if (!(low($1) in site) && !(low($1) + 4 in site)) print $3
		}
		END { if (functions < 100) print "only " functions " Rust functions in the module" }
	' "$tracing/available_filter_functions_addrs" /proc/kallsyms > missing
	[[ ! -s missing ]] || fail "not traceable: $(< missing)"
}

# graph_path ENTRY LEAF: prints, outermost first, the functions open when LEAF is called for the first time below ENTRY.
graph_path() {
	awk -F '|' -v entry="$1" -v leaf="$2" '
		BEGIN { depth = 0 }
		{ text = $2; name = $2; gsub(/^ +|[(;{].*| \[.*/, "", name) }
		text ~ /\) *\{|\(\);/ { open[depth] = name }
		name == leaf {
			line = ""
			for (i = 0; i <= depth; i++) line = line open[i] (i < depth ? " " : "\n")
			if (index(line, entry)) { printf "%s", line; exit }
		}
		text ~ /\{ *$/ { depth++ }
		text ~ /\} *(\/\*.*)?$/ { depth-- }' trace
}

# reaches_disk_by FUNCTION OUTER INNER: in the function graph submit_bio is below FUNCTION, and the path has a function
# with OUTER in its name, and further in one with INNER.
reaches_disk_by() {
	local path
	path=$(graph_path "$1" submit_bio)
	echo "path: $path"
	[[ $path == *"$2"*"$3"*" submit_bio" ]] || {
		head -n 40 trace
		fail "submit_bio is not below $2 and $3"
	}
}

test_graph_shows_a_read_down_to_submit_bio() {
	local entry
	volume_with_file
	entry=$(readahead)
	drop_caches
	trace_functions function_graph ":mod:$MODULE" submit_bio
	cat m/file > /dev/null
	keep_trace
	reaches_disk_by "$entry" "$entry" 6Reader
}

# From the file operation of fsync to the disk, through the engine. The blocks are there, so that no bitmap is read.
test_graph_shows_a_write_down_to_submit_bio() {
	local entry
	[[ $MODULE == rext2 ]] || skip "not our module"
	fresh
	head -c 1M /dev/urandom > m/file
	sync m/file
	dd if=/dev/urandom of=m/file bs=1M count=1 conv=notrunc status=none
	entry=$(function_named '9AopsTable.*5PagesE10writepages')
	trace_functions function_graph ":mod:$MODULE" submit_bio
	sync m/file
	keep_trace
	reaches_disk_by "$entry" 5fsync "$entry"
}

# What the events say of one inode, in order, names the way of its bytes to the disk.
test_events_follow_a_write() {
	local ino events order
	[[ $MODULE == rext2 ]] || skip "not our module"
	fresh
	: > m/file
	ino=$(stat -c %i m/file)
	events=(mpage_window mpage_map mpage_bio mpage_end reserve_blocks alloc_blocks commit_blocks)
	traced "${events[@]/#/rext2:}" -- bash -c 'head -c 40960 /dev/zero > m/file && sync m/file'
	grep -q "alloc_blocks: .* ino $ino .* want 10 .* count 10 reserved" trace || fail "not allocated at once: $(< trace)"
	grep -q "mpage_bio: .* ino $ino write .* bytes 40960 .* pos 0$" trace || fail "not one bio: $(< trace)"
	grep -q "mpage_end: .* ino $ino write pos 0 bytes 40960 error 0$" trace || fail "no end of the bio: $(< trace)"
	order=$(sed -nE "s/.* ([a-z_]+): .* ino $ino .*/\1/p" trace | uniq | paste -s -d ' ')
	[[ $order == "reserve_blocks mpage_window alloc_blocks mpage_map mpage_bio mpage_end commit_blocks"* ]] ||
		fail "in another order: $order"
}

# A bio that fails says so.
test_the_end_of_a_bio_tells_of_an_error() {
	local size
	volume_with_file
	umount m
	size=$(blockdev --getsz "$DISK1")
	dmsetup create bad --table "0 $size linear $DISK1 0"
	defer dmsetup remove --force bad
	mount_volume /dev/mapper/bad m ro
	ls -l m > /dev/null
	dmsetup suspend bad
	dmsetup load bad --table "0 $size error"
	dmsetup resume bad
	traced rext2:mpage_end -- bash -c '! cat m/file'
	grep -q 'mpage_end: .* read pos 0 bytes [0-9]* error -5$' trace || fail "no error in the trace: $(< trace)"
}

test_function_tracer_names_the_callers() {
	volume_with_file
	trace_functions function ":mod:$MODULE"
	read_cold
	keep_trace
	grep -qF " $(readahead) <-read_pages" trace || {
		head -n 40 trace
		fail "no readahead called by read_pages"
	}
	grep -qF " $(read_iter) <-vfs_read" trace || fail "no read_iter called by vfs_read"
}

# The functions of the init section are traced while they exist.
test_loading_can_be_traced() {
	[[ $MODULE == rext2 ]] || skip "not our module"
	rmmod "$MODULE"
	trace_functions function "*:mod:$MODULE"
	load_module
	keep_trace
	grep -q ' init_module <-do_one_initcall' trace || fail "init_module is not in the trace"
}

# Loads the module as the guest did when it started.
load_module() {
	local file parameters
	read -r file parameters < /run/rext2/modules
	# shellcheck disable=SC2086 # words
	insmod "$file" $parameters
}

# kiocb.ki_pos is at byte 8; the first argument of a C function is in %di.
test_kprobe_and_kretprobe_read_arguments() {
	local function
	volume_with_file
	function=$(read_iter)
	defer trace_nothing
	echo "p:rext2_test/in $MODULE:$function pos=+8(%di):s64" > "$tracing/kprobe_events"
	echo "r:rext2_test/out $MODULE:$function got=\$retval:s64" >> "$tracing/kprobe_events"
	echo 1 > "$tracing/events/rext2_test/enable"
	dd if=m/file of=/dev/null bs=5000 skip=7 count=1 status=none
	keep_trace
	grep -q 'in: .* pos=35000$' trace || fail "no position: $(tail -n 5 trace)"
	grep -q 'out: .* got=5000$' trace || fail "no return value: $(tail -n 5 trace)"
	grep -F "$function" /sys/kernel/debug/kprobes/list | grep -F '[FTRACE]' || fail "the probe is not ftrace's"
}

# guest: limit=240
test_bpftrace_reads_an_argument() {
	local function
	volume_with_file
	function=$(read_iter)
	# bpftrace looks where tracefs used to be, and the kernel mounts it there.
	defer umount --quiet /sys/kernel/debug/tracing
	bpftrace -c 'dd if=m/file of=/dev/null bs=5000 skip=7 count=1 status=none' \
		-e "kprobe:$MODULE:$function { printf(\"at %d\n\", *(uint64 *)(arg0 + 8)); }
		    kretprobe:$MODULE:$function { printf(\"got %d\n\", retval); }" > bpftrace.out
	grep -qx 'at 35000' bpftrace.out || fail "no position: $(< bpftrace.out)"
	grep -qx 'got 5000' bpftrace.out || fail "no return value: $(< bpftrace.out)"
}

# Reads the file again and again, from the disk and from the cache, until the file `enough` appears.
keep_reading() {
	while [[ ! -e enough ]]; do
		read_cold
		cat m/file > /dev/null
	done
}

# on_and_off ROUNDS: puts calls into the functions that are traced, and takes them out again.
on_and_off() {
	local round
	for ((round = 0; round < $1; round++)); do
		echo 0 > /proc/sys/kernel/ftrace_enabled
		echo 1 > /proc/sys/kernel/ftrace_enabled
	done
}

# toggle_under_load ROUNDS: most of them with the functions that are running all the time, some with all of the module.
toggle_under_load() {
	local tracer
	volume_with_file
	md5sum m/file > before
	keep_reading &
	trace_functions function "*5mpage4read*:mod:$MODULE" "$(read_iter)"
	on_and_off $(($1 * 96 / 100))
	echo ":mod:$MODULE" > "$tracing/set_ftrace_filter"
	on_and_off $(($1 * 4 / 100))
	for tracer in function_graph nop function nop function_graph nop; do
		echo "$tracer" > "$tracing/current_tracer"
	done
	touch enough
	wait
	drop_caches
	md5sum --check --quiet before
}

# guest: limit=900
test_tracing_on_and_off_1000_times_under_load() { toggle_under_load 1000; }

# Unloading takes the sites away from a tracer and from a probe that are active, and loading gives them back: to the
# probe by itself, to the tracer by a filter for a module that is to come.
test_reload_with_tracers_active() {
	local round function
	volume_with_file
	function=$(read_iter)
	trace_functions function_graph ":mod:$MODULE"
	echo "p:rext2_test/in $MODULE:$function" > "$tracing/kprobe_events"
	echo 1 > "$tracing/events/rext2_test/enable"
	for ((round = 0; round < 10; round++)); do
		read_cold
		umount m
		rmmod "$MODULE"
		! grep -q "\[$MODULE\]" "$tracing/available_filter_functions" || fail "sites of a module that has gone"
		echo "*:mod:$MODULE" > "$tracing/set_ftrace_filter"
		echo > "$tracing/trace"
		load_module
		mount -t "$FSTYPE" -o ro "$DISK1" m
		read_cold
		keep_trace
		grep -q "  $function.*() {" trace || fail "the tracer did not come back in round $round"
		grep -q "in: ($function" trace || fail "the probe did not come back in round $round"
		echo 1 > "$tracing/tracing_on"
	done
}
