# shellcheck shell=bash
# Shared by every script of the project; source it, do not run it.
#
#   REXT2_TOP, REXT2_CACHE     the checkout; where everything that can be made again is kept
#   say MSG                    one line of news, on standard error
#   die MSG                    one line that says what to do; the script ends with status 1
#   step WHAT CMD...           runs CMD, shows WHAT and how far it is, keeps its output in a log,
#                              shows the log's tail when CMD fails; output of CMD goes to the log
#   artefact NAME TEXT CMD...  prints a directory of the cache that `CMD... DIR` has filled; TEXT is
#                              what the contents depend on, CMD's own file is counted in
#   tool_root                  prints the Debian root that holds the tool chain
#   in_tools [--bind SRC[:DST]]... [--ro-bind SRC[:DST]]... -- CMD...
#                              runs CMD in that root, in the current directory; the checkout and the
#                              cache are there under their own paths. Inside the root it just runs CMD
#   kernel_version             prints e.g. 7.2.12+deb13-amd64
#   kernel_dir                 prints the build directory for modules of that kernel
#   kernel_image               prints the path of its vmlinuz
#   kernel_modules             prints its modules: a directory holding modules.dep, kernel/, ...
#   kernel_source              prints the unpacked linux-source tree
#   debian_root PACKAGE...     prints a Debian root (a directory) with these packages in it
#
# Everything that prints a path makes what is missing first.

set -euo pipefail
export LC_ALL=C.UTF-8

REXT2_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
REXT2_CACHE=${XDG_CACHE_HOME:-${HOME:?is not set: it says where the cache goes}/.cache}/rext2
REXT2_SUITE=trixie

# What the tool root holds. Debian's rustc is the one that its kernel was built with: symbol names
# in Rust carry the compiler's version, so no other will do.
REXT2_TOOLS=(
	rustc rust-src rustfmt rust-clippy cargo bindgen clang lld llvm
	gcc-14 gcc make libc6-dev flex bison bc libelf-dev libdw-dev libssl-dev
	xz-utils zstd kmod cpio dwarves rsync git ca-certificates
	python3 python3-matplotlib mypy shellcheck
	qemu-system-x86 e2fsprogs erofs-utils xfsprogs busybox-static fio trace-cmd
)

say() { printf '%s\n' "$*" >&2; }

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# --- long steps -------------------------------------------------------------------------------

# The end of a log as one short printable line.
log_line() {
	tail -c 2000 -- "$1" | tr '\r' '\n' | tr -cd '[:print:]\n' |
		awk -v width="$2" 'NF { line = $0 } END { print substr(line, 1, width) }'
}

# Prints progress until the process is gone: in place on a terminal, else a line now and then.
watch_step() {
	local pid=$1 what=$2 log=$3 start=$SECONDS elapsed next=20
	while kill -0 "$pid" 2>/dev/null; do
		elapsed=$((SECONDS - start))
		if [[ -t 2 ]]; then
			printf '\r\e[K%s … %d s  %s' "$what" "$elapsed" "$(log_line "$log" 50)" >&2
		elif ((elapsed >= next)); then
			say "$what … $elapsed s  $(log_line "$log" 70)"
			next=$((elapsed + 20))
		fi
		sleep 0.2
	done
	if [[ -t 2 ]]; then printf '\r\e[K' >&2; fi
}

step() {
	local what=$1 start=$SECONDS log pid status=0
	shift
	mkdir -p "$REXT2_CACHE/log"
	log=$REXT2_CACHE/log/$(tr -cs '[:alnum:]\n' - <<<"$what" | cut -c 1-60)$$.log
	[[ -t 2 ]] || say "$what"
	# In a process group of its own, so that an interrupt ends all of it and not only this shell.
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # this step's process
	trap "kill -TERM -- -$pid 2>/dev/null; exit 130" INT TERM HUP
	watch_step "$pid" "$what" "$log"
	wait "$pid" || status=$?
	trap - INT TERM HUP
	if ((status)); then
		tail -n 25 -- "$log" >&2
		say "$what: failed with status $status; all of its output: $log"
		return "$status"
	fi
	say "$what: done in $((SECONDS - start)) s"
	rm -f -- "$log"
}

# --- the cache --------------------------------------------------------------------------------

# artefact NAME TEXT CMD...: CMD... DIR fills DIR once for each TEXT. DIR counts only when its stamp
# is there, so a run that was killed leaves nothing half-made in use; the lock serves two runs at once.
artefact() {
	local name=$1 text=$2 key dir
	shift 2
	key=$(cat -- "$1" - <<<"$text" | sha256sum)
	dir=$REXT2_CACHE/$name-${key:0:12}
	if [[ ! -e $dir/.complete ]]; then
		mkdir -p "$REXT2_CACHE/lock"
		(
			flock --nonblock 9 || { say "waiting for another run that makes $name" && flock 9; }
			[[ ! -e $dir/.complete ]] || exit 0
			remove_tree "$dir"
			mkdir "$dir"
			"$@" "$dir" >&2 || exit
			touch "$dir/.complete"
			forget_unused "$name"
		) 9>"$REXT2_CACHE/lock/${dir##*/}" || exit
	fi
	touch -c "$dir/.complete"
	printf '%s\n' "$dir"
}

# Removes what bears this name and was last asked for two weeks ago: older kernels, former tools.
forget_unused() {
	local stamp
	find "$REXT2_CACHE" -mindepth 2 -maxdepth 2 -path "*/$1-????????????/.complete" -mtime +14 -print0 |
		while IFS= read -r -d '' stamp; do remove_tree "${stamp%/.complete}"; done
}

# Debian ships some directories without write permission, which stops an ordinary user's rm.
remove_tree() {
	[[ -e $1 ]] || return 0
	chmod -R u+rwX -- "$1" 2>/dev/null || true
	rm -rf -- "$1"
}

# --- the tool root ----------------------------------------------------------------------------

# Installs a missing host program as root; tells an ordinary user what to install.
need_host() {
	local package missing=()
	for package in "$@"; do
		case $package in
		mmdebstrap) command -v mmdebstrap ;;
		bubblewrap) command -v bwrap ;;
		uidmap) command -v newuidmap ;;
		debian-archive-keyring) ls /usr/share/keyrings/debian-archive-keyring.* ;;
		*) die "need_host: unknown package $package" ;;
		esac >/dev/null 2>&1 || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	command -v apt-get >/dev/null ||
		die "the set-up needs ${missing[*]}, and this is not a Debian system: install them, or build with make KDIR=<kernel build directory>"
	((EUID == 0)) || die "please install what is missing: sudo apt-get install ${missing[*]}"
	step "installing ${missing[*]} on this machine" "$REXT2_TOP/scripts/build/host-packages" "${missing[@]}"
}

# Says why user namespaces do not serve an ordinary user here, or nothing.
namespace_trouble() {
	if ! bwrap --unshare-user --unshare-pid --uid 0 --gid 0 --dev-bind / / --proc /proc true 2>/dev/null; then
		echo "this kernel refuses user namespaces to ordinary users (sysctl kernel.unprivileged_userns_clone, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns)"
	elif ! grep -q "^$(id -un):" /etc/subuid || ! grep -q "^$(id -un):" /etc/subgid; then
		echo "this user has no subordinate ids in /etc/subuid and /etc/subgid (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un))"
	fi
}

# What making and entering a Debian root takes.
need_sandbox() {
	local trouble
	if ((EUID == 0)); then
		need_host mmdebstrap bubblewrap debian-archive-keyring
	else
		need_host mmdebstrap bubblewrap debian-archive-keyring uidmap
		trouble=$(namespace_trouble)
		[[ ! $trouble ]] || die "$trouble: have that changed, run as root, or build with make KDIR=<kernel build directory>"
	fi
}

debian_root() {
	local dir
	need_sandbox
	dir=$(artefact debian "$REXT2_SUITE ${DEBIAN_MIRROR:-} $(printf '%s\n' "$@" | sort | tr '\n' ' ')" \
		"$REXT2_TOP/scripts/build/debian-root" "$@") || exit
	printf '%s\n' "$dir/root"
}

tool_root() {
	if [[ ${REXT2_IN_TOOLS:-} ]]; then
		printf '%s\n' "$REXT2_IN_TOOLS"
	else
		debian_root "${REXT2_TOOLS[@]}"
	fi
}

# Settings of this machine that a program in the root needs to reach the network and registries.
machine_settings() {
	local file home=$REXT2_CACHE/home bundle
	mkdir -p "$home/cargo"
	for file in /etc/resolv.conf /etc/hosts; do
		[[ ! -e $file ]] || box+=(--ro-bind "$file" "$file")
	done
	for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt; do
		if [[ -f $bundle ]]; then
			box+=(--ro-bind "$bundle" /etc/ssl/certs/ca-certificates.crt)
			break
		fi
	done
	for file in "${CARGO_HOME:-$HOME/.cargo}"/config.toml "${CARGO_HOME:-$HOME/.cargo}"/config; do
		[[ ! -f $file ]] || box+=(--ro-bind "$file" "$home/cargo/${file##*/}")
	done
	box+=(--setenv HOME "$home" --setenv CARGO_HOME "$home/cargo")
}

# The variables of the caller that keep their meaning in the root; the rest stays outside.
carried_variables() {
	local name
	while read -r name; do
		case $name in
		CARGO_HOME | CARGO_TARGET_DIR) ;;
		REXT2_IN_TOOLS | REXT2_TOP | REXT2_CACHE | REXT2_TOOLS | REXT2_SUITE) ;;
		TERM | CI | V | CMD | REXT2_* | KERNEL_* | DEBIAN_MIRROR | XDG_CACHE_HOME | \
			http_proxy | https_proxy | ftp_proxy | no_proxy | HTTP_PROXY | HTTPS_PROXY | NO_PROXY | \
			CARGO_* | RUST_* | PROPTEST_* | FUZZ_* | QEMU_* | SOURCE_DATE_EPOCH)
			box+=(--setenv "$name" "${!name}")
			;;
		esac
	done < <(compgen -e)
}

# The bwrap options: an ordinary user is root in a user namespace of its own, with its own files.
sandbox() {
	local root=$1
	box=(--bind "$root" / --dev /dev --proc /proc --ro-bind /sys /sys --unshare-pid --die-with-parent)
	box+=(--bind /tmp /tmp --bind /var/tmp /var/tmp --bind "${TMPDIR:-/tmp}" "${TMPDIR:-/tmp}")
	box+=(--bind "$REXT2_CACHE" "$REXT2_CACHE" --bind "$REXT2_TOP" "$REXT2_TOP")
	((EUID == 0)) || box+=(--unshare-user --uid 0 --gid 0)
	[[ ! -e /dev/kvm ]] || box+=(--dev-bind /dev/kvm /dev/kvm)
	box+=(--clearenv --setenv LC_ALL C.UTF-8 --setenv REXT2_IN_TOOLS "$root")
	box+=(--setenv PATH /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
	box+=(--setenv TMPDIR "${TMPDIR:-/tmp}" --setenv USER root)
	machine_settings
	carried_variables
}

in_tools() {
	local root box=() binds=()
	while [[ ${1:-} != -- ]]; do
		case ${1:-} in
		--bind | --ro-bind)
			[[ ${2:-} ]] || die "in_tools: $1 needs SRC[:DST]"
			binds+=("$1" "${2%%:*}" "${2#*:}")
			shift 2
			;;
		*) die "in_tools: unexpected '${1:-}'; usage: in_tools [--bind SRC[:DST]]... -- CMD..." ;;
		esac
	done
	shift
	if [[ ${REXT2_IN_TOOLS:-} ]]; then
		"$@"
		return
	fi
	root=$(tool_root) || exit
	sandbox "$root"
	bwrap "${box[@]}" "${binds[@]}" --chdir "$PWD" -- "$@"
}

# --- the kernel -------------------------------------------------------------------------------

if [[ ${KERNEL_VERSION:-} =~ ^([0-9]+\.[0-9]+)\. ]]; then
	KERNEL_SERIES=${BASH_REMATCH[1]}
fi
KERNEL_SERIES=${KERNEL_SERIES:-7.2}
KERNEL_FLAVOUR=${KERNEL_FLAVOUR:-amd64}

# kernel_release: "ABI VERSION", e.g. "7.2.12+deb13-amd64 7.2.12-1~bpo13+1". Resolved once and
# kept, so that what was tested yesterday is what is built today; KERNEL_UPDATE=1 looks again.
kernel_release() {
	local file=$REXT2_CACHE/kernel-$KERNEL_SERIES-$KERNEL_FLAVOUR${KERNEL_VERSION:+-$KERNEL_VERSION}.version
	if [[ ! -s $file || ${KERNEL_UPDATE:-} == 1 ]]; then
		tool_root >/dev/null || exit
		"$REXT2_TOP/scripts/build/kernel-resolve" "$file" >&2 || exit
	fi
	cat -- "$file"
}

kernel_version() {
	local release
	release=$(kernel_release) || exit
	printf '%s\n' "${release%% *}"
}

# The unpacked packages: image, modules and headers.
kernel_packages() {
	local release
	release=$(kernel_release) || exit
	artefact kernel "$release" "$REXT2_TOP/scripts/build/kernel-packages" "$release"
}

kernel_image() {
	local dir
	dir=$(kernel_packages) || exit
	printf '%s\n' "$dir/vmlinuz"
}

kernel_modules() {
	local dir version
	dir=$(kernel_packages) || exit
	version=$(kernel_version) || exit
	printf '%s\n' "$dir/root/usr/lib/modules/$version"
}

kernel_source() {
	local release dir
	release=$(kernel_release) || exit
	dir=$(artefact kernel-source "$release" "$REXT2_TOP/scripts/build/kernel-source" "$release") || exit
	printf '%s\n' "$dir/source"
}

# The programs whose output the build directory holds.
compiler_versions() {
	awk '/^Package: / { package = $2 }
		/^Version: / && package ~ /^(rustc|bindgen|gcc-14|dwarves|libelf1t64)$/ { print package, $2 }' \
		"$1/var/lib/dpkg/status"
}

kernel_dir() {
	local version packages source root dir
	version=$(kernel_version) || exit
	packages=$(kernel_packages) || exit
	source=$(kernel_source) || exit
	root=$(tool_root) || exit
	dir=$(artefact kernel-build "$version $packages $source $(compiler_versions "$root")" \
		"$REXT2_TOP/scripts/build/kernel-dir" "$version" "$packages" "$source") || exit
	printf '%s\n' "$dir/build"
}
