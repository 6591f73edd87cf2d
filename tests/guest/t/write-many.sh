# shellcheck shell=bash
# Much of everything: names in a directory, writers at a time, bytes in a file.
# guest: limit=600 disks=256M

# One directory with so many names, found again and taken away.
crowd() {
	local count=$1
	fresh -b 4096 -N $((count + 100))
	python3 - "$count" <<'EOF'
import os, sys
os.mkdir("m/d")
directory = os.open("m/d", os.O_RDONLY)
for number in range(int(sys.argv[1])):
    os.close(os.open(f"{number:x}-{number}", os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory))
EOF
	again
	python3 - "$count" <<'EOF'
import os, sys
count = int(sys.argv[1])
names = os.listdir("m/d")
assert len(names) == count and set(names) == {f"{number:x}-{number}" for number in range(count)}
for number in range(0, count, count // 50):
    assert os.stat(f"m/d/{number:x}-{number}").st_size == 0
directory = os.open("m/d", os.O_RDONLY)
for name in names:
    os.unlink(name, dir_fd=directory)
os.rmdir("m/d")
EOF
	clean
}
test_crowded_directory() { crowd 100000; }

# A directory so large that names are found by a table, changed at random while that is taken away and made anew; what is
# found and what is not is what a list of the changes says.
test_changing_crowd() {
	fresh -b 1024 -N 10000
	cat > change.py <<'EOF'
import os, random, sys
seed, count = int(sys.argv[1]), int(sys.argv[2])
mine = random.Random(seed)
os.makedirs("m/d", exist_ok=True)
directory = os.open("m/d", os.O_RDONLY)
def numbers():
    return {name: os.stat(name, dir_fd=directory).st_ino for name in os.listdir(directory)}
names = numbers()
def invent():
    return "".join(mine.choice("abcdef") for _ in range(mine.choice((2, 3, 4, 30, 200))))
def forget():
    # That a name is not there is remembered too; it must be asked of the file system again. The second time takes the
    # table, which was used before the first.
    for _ in range(2):
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("2")
for turn in range(count):
    name = mine.choice(list(names)) if names and mine.random() < 0.5 else invent()
    what = mine.randrange(6)
    if what < 3 and name not in names:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory))
        names[name] = os.stat(name, dir_fd=directory).st_ino
    elif what == 3 and name in names:
        os.unlink(name, dir_fd=directory)
        del names[name]
    elif what == 4 and name in names:
        new = invent()
        os.rename(name, new, src_dir_fd=directory, dst_dir_fd=directory)
        names[new] = names.pop(name)
    else:
        try:
            assert os.stat(name, dir_fd=directory).st_ino == names[name]
        except FileNotFoundError:
            assert name not in names, name
    if turn % 500 == 499:
        forget()
forget()
assert numbers() == names
for _ in range(200):
    name = invent()
    assert os.access(name, os.F_OK, dir_fd=directory) == (name in names), name
EOF
	python3 change.py 1 4000
	again
	python3 change.py 2 4000
	rm -r m/d
	mkdir m/d
	python3 change.py 3 500
	clean
}

# tree LEVELS: ten directories on each level, ten files on the last.
tree() {
	fresh -b 1024 -N $((10 ** $1 * 13 / 10 + 1000))
	python3 - "$1" <<'EOF'
import os, sys
def grow(directory, levels):
    for digit in range(10):
        if levels == 1:
            os.close(os.open(f"f{digit}", os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory))
            continue
        os.mkdir(f"d{digit}", dir_fd=directory)
        below = os.open(f"d{digit}", os.O_RDONLY, dir_fd=directory)
        grow(below, levels - 1)
        os.close(below)
os.mkdir("m/tree")
grow(os.open("m/tree", os.O_RDONLY), int(sys.argv[1]))
EOF
	again
	same $((10 ** $1)) "$(find m/tree -type f | wc -l)" "files in the tree"
	same $((10 ** $1)) "$(find m/tree -type f | sort -u | wc -l)" "names in the tree"
	rm -r m/tree
	clean
}
test_tree() { tree 5; }

# Sixteen that write, delete, and meet the end of the space, again and again. What none of them deleted is whole.
test_sixteen_writers() {
	fresh -b 1024 -m 0
	truncate -s 0 m/x
	head -c $((180 << 20)) /dev/zero > m/ballast
	cat > writer.py <<'EOF'
import errno, os, random, sys
me = int(sys.argv[1])
mine = random.Random(me)
kept = {}
full = 0
for turn in range(60):
    name = f"m/{me}-{turn}"
    data = mine.randbytes(mine.randrange(1, 300_000))
    written = 0
    try:
        with open(name, "wb", buffering=0) as file:
            while written < len(data):
                written += file.write(data[written:written + 50_001])
            if turn % 7 == 0:
                os.fsync(file.fileno())
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
        full += 1
    if os.path.exists(name):
        kept[name] = data[:written]
        assert os.path.getsize(name) == written, (name, written)
    while len(kept) > 25 or (kept and full % 2 and mine.random() < 0.5):
        gone = mine.choice(sorted(kept))
        os.unlink(gone)
        del kept[gone]
for name, data in kept.items():
    assert open(name, "rb").read() == data, name
with open(f"left{me}", "w") as left:
    for name, data in kept.items():
        print(name, len(data), sum(data), file=left)
with open(f"full{me}", "w") as out:
    print(full, file=out)
EOF
	local i pids=()
	for i in {1..16}; do
		python3 writer.py "$i" &
		pids+=($!)
	done
	for i in "${pids[@]}"; do wait "$i" || fail "a writer"; done
	(($(cat full* | paste -sd+ | bc) > 0)) || fail "the volume was never full"
	again
	cat left* | python3 -c '
import sys
for line in sys.stdin:
    name, size, total = line.split()
    data = open(name, "rb").read()
    assert (len(data), sum(data)) == (int(size), int(total)), name'
	clean
}

# The largest file that the format has for a block size: BLOCK-SIZE BYTES. Its ends can be written, and nothing lies past it.
limits() {
	local size=$1 most=$2
	fresh -b "$size" -O large_file
	python3 - "$size" "$most" <<'EOF'
import errno, mmap, os, resource, sys
size, most = int(sys.argv[1]), int(sys.argv[2])
file = os.open("m/f", os.O_RDWR | os.O_CREAT)
def refused(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0
os.ftruncate(file, most)
assert os.fstat(file).st_size == most
assert refused(os.ftruncate, file, most + 1) == errno.EFBIG, "a file may be larger than its pointers reach"
pointers = size // 4
# Both sides of every place where the tree of pointers gets higher, and the end.
edges = [12, 12 + pointers, 12 + pointers + pointers ** 2, most // size]
for block in [0, *(edge + side for edge in edges for side in (-1, 0))]:
    at = block * size
    text = b"block %d" % block
    if at >= most:
        assert refused(os.pwrite, file, text, at) == errno.EFBIG
        continue
    assert os.pwrite(file, text, at + size - len(text)) == len(text)
# What does not fit is not written, what does is.
assert os.pwrite(file, b"xyz", most - 2) == 2
os.fsync(file)
assert refused(os.pwrite, file, b"x", most) == errno.EFBIG
assert os.fstat(file).st_blocks * 512 < 100 * size
EOF
	again
	python3 - "$size" "$most" <<'EOF'
import os, sys
size, most = int(sys.argv[1]), int(sys.argv[2])
file = os.open("m/f", os.O_RDWR)
assert os.fstat(file).st_size == most
pointers = size // 4
edges = [12, 12 + pointers, 12 + pointers + pointers ** 2, most // size]
for block in [0, *(edge + side for edge in edges for side in (-1, 0))]:
    text = b"block %d" % block
    if block * size < most:
        found = os.pread(file, size, block * size)
        if block * size + size == most:
            assert found == bytes(size - len(text)) + text[:-2] + b"xy", found[-20:]
        else:
            assert found == bytes(size - len(text)) + text, (block, found[-20:])
data = [0]
while True:
    try:
        data.append(os.lseek(file, os.lseek(file, data[-1], os.SEEK_HOLE), os.SEEK_DATA))
    except OSError:
        break
assert data[-1] == most - size, data
os.ftruncate(file, 5 * size)
assert os.fstat(file).st_blocks * 512 <= size, os.fstat(file).st_blocks
os.ftruncate(file, most)
os.unlink("m/f")
EOF
	clean
}
test_largest_file_1k_blocks() { limits 1024 $((1024 * (12 + 256 + 256 ** 2 + 256 ** 3))); }
test_largest_file_2k_blocks() { limits 2048 $((2048 * (12 + 512 + 512 ** 2 + 512 ** 3))); }

# With blocks of 4 KiB it is the count of sectors in the inode that ends a file, before its pointers do.
test_largest_file_4k_blocks() {
	local most
	fresh -b 4096
	most=$(python3 -c '
import os
file = os.open("m/probe", os.O_RDWR | os.O_CREAT)
low, high = 0, 1 << 45
while low < high:
    half = (low + high + 1) // 2
    try:
        os.ftruncate(file, half)
        low = half
    except OSError:
        high = half - 1
os.ftruncate(file, 0)
print(low)')
	((most % 4096 == 0 && most > 2 ** 41 - 2 ** 32 && most < 2 ** 41)) || fail "the largest file has $most bytes"
	clean
	limits 4096 "$most"
}
