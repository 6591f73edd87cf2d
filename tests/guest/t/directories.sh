# shellcheck shell=bash
# Directories: long ones, names looked up in them, and places found again.

# link_names COUNT DIRECTORY: the same names, quicker; a file has at most 25,000 of them.
link_names() {
	python3 - "$1" "$2/d" <<- 'END'
		import os
		import sys

		os.mkdir(sys.argv[2])
		for number in range(int(sys.argv[1])):
		    path = f"{sys.argv[2]}/name-{number}"
		    if number % 25000 == 0:
		        first = path
		        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
		    else:
		        os.link(first, path)
	END
}

# make_names COUNT DIRECTORY
make_names() {
	local number directory=$2/d
	mkdir -p "$directory"
	for ((number = 0; number < $1; number++)); do
		: > "$directory/name-$number"
	done
}

# Made by the ext4 driver, which gives a long directory a hash index; mke2fs would take ages.
# guest: limit=400
test_100000_entries() {
	make_volume "$DISK1" -b 4096 -N 110000
	fill_volume "$DISK1" link_names 100000
	mount_volume "$DISK1" m ro
	# Without looking each name up: that takes as long as the directory is long, each time.
	# shellcheck disable=SC2012
	ls -f m/d | sed '/^\.\.\?$/d' | LC_ALL=C sort > found
	seq -f name-%.0f 0 99999 | LC_ALL=C sort > expected
	cmp expected found
	[[ -f m/d/name-0 && -f m/d/name-99999 && -f m/d/name-50000 && ! -e m/d/name-100000 ]]
}

# A place told by telldir is found again by seekdir, in any order, also by a second reader.
seeks() {
	perl - "$1" <<- 'END'
		use strict;
		my $dir = shift;
		opendir(my $d, $dir) or die;
		my (@place, @name);
		while (1) {
		    my $place = telldir($d);
		    my $name = readdir($d);
		    last unless defined $name;
		    push @place, $place;
		    push @name, $name;
		}
		die "only " . @name . " names" unless @name == 3002;
		my %seen;
		die "a name came twice" if grep { $seen{$_}++ } @name;
		opendir(my $e, $dir) or die;
		for my $i (map { ($_ * 7919) % @name } 1 .. 2000) {
		    my $handle = $i % 2 ? $d : $e;
		    seekdir($handle, $place[$i]);
		    my $found = readdir($handle);
		    die "place $i: $found, not $name[$i]" unless $found eq $name[$i];
		    die "after place $i" if $i < $#name && readdir($handle) ne $name[$i + 1];
		}
		rewinddir($d);
		die "rewind" unless readdir($d) eq $name[0];
	END
}

test_seeks() {
	local size
	for size in 1024 4096; do
		make_volume "$DISK1" -b $size
		fill_volume "$DISK1" make_names 3000
		mount_volume "$DISK1" m ro
		seeks m/d
		umount m
	done
}

test_seeks_without_filetype() {
	make_volume "$DISK1" -O ^filetype
	fill_volume "$DISK1" make_names 3000
	mount_volume "$DISK1" m ro
	seeks m/d
}

# The kind that readdir tells is the kind that stat tells; without `filetype` it may be unknown.
kinds() {
	python3 - <<- 'END'
		import os
		import stat
		import sys

		for entry in os.scandir("m"):
		    mode = os.lstat(entry.path).st_mode
		    if entry.is_symlink() != stat.S_ISLNK(mode) or entry.is_dir(follow_symlinks=False) != stat.S_ISDIR(mode):
		        sys.exit(f"{entry.name}: readdir and stat disagree")
		    if entry.inode() != os.lstat(entry.path).st_ino:
		        sys.exit(f"{entry.name}: another inode number")
	END
}

test_kinds() {
	local feature
	mkdir files files/directory
	echo > files/file
	ln -s file files/link
	mkfifo files/fifo
	mknod files/device c 1 3
	for feature in filetype ^filetype; do
		make_volume "$DISK1" -O $feature -d files
		mount_volume "$DISK1" m ro
		kinds
		umount m
	done
}

test_names() {
	local name
	mkdir files
	printf -v name '%0255d' 3
	echo > "files/$name"
	echo > files/a
	make_volume "$DISK1" -d files
	mount_volume "$DISK1" m ro
	[[ -e m/$name && -e m/a && ! -e m/b && ! -e m/${name%3}4 ]]
	fails_with "File name too long" stat "m/${name}0"
	fails_with "Not a directory" stat m/a/b
	[[ -d m/. && -d m/.. && -d m/lost+found/../lost+found ]]
}

# Entries that were removed leave gaps; the rest is still found, in directories that span blocks.
test_after_removal() {
	local number
	make_volume "$DISK1" -b 1024 -O ^dir_index
	fill_volume "$DISK1" make_names 3000
	for ((number = 0; number < 3000; number++)); do
		((number % 3 == 0)) || echo "rm /d/name-$number"
	done > commands
	debugfs -w -f commands "$DISK1" > debugfs.log 2>&1
	fsck_clean "$DISK1"
	mount_volume "$DISK1" m ro
	# shellcheck disable=SC2012
	same "$(seq 0 3 2999)" "$(ls -f m/d | sed '/^\.\.\?$/d; s/name-//' | sort -n)" "the names"
	[[ -e m/d/name-2997 && ! -e m/d/name-2998 ]]
}

# kinds_by_readdir DIRECTORY: tells the kind of each entry by readdir alone: when it is asked for, the name is gone.
kinds_by_readdir() {
	python3 - "$1" <<- 'END'
		import os
		import sys

		entries = sorted(os.scandir(sys.argv[1]), key=lambda entry: entry.name)
		os.rename(sys.argv[1], sys.argv[1] + "-away")
		for entry in entries:
		    kind = [entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False), entry.is_symlink()]
		    print(entry.name, *(int(is_kind) for is_kind in kind))
	END
}

# guest: limit=200
test_kinds_of_entries() {
	make_volume "$DISK1" -b 4096
	mount_volume "$DISK1" m rw
	mkdir -p m/d/directory
	: > m/d/file
	ln -s file m/d/link
	kinds_by_readdir m/d > found
	printf '%s\n' 'directory 1 0 0' 'file 0 1 0' 'link 0 0 1' | cmp - found
	clean
}
