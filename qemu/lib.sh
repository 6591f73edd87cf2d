# shellcheck shell=bash
# What starting a guest needs, made when missing; source it after scripts/lib.sh.
#   guest_root        prints the guest's root image
#   guest_modules     prints the image with the kernel's modules
#   guest_initramfs   prints the initramfs
#   guest_arguments   fills the array guest_arguments with the options of qemu/vm.py that name these

REXT2_GUEST_PACKAGES=(
	# the system
	bash coreutils util-linux mount kmod procps psmisc iproute2 libcap2-bin uuid-runtime python3-minimal
	# file systems and block devices
	e2fsprogs xfsprogs xfsdump attr acl quota dmsetup thin-provisioning-tools parted
	# load, traces and looking closely
	fio stress-ng strace trace-cmd blktrace bpftrace linux-perf bsdextrautils file bc gawk less
	# programs that do real work on a volume
	sqlite3 git rsync zstd
)

guest_root() {
	local dir
	need_host mmdebstrap debian-archive-keyring
	((EUID == 0)) || need_host uidmap
	dir=$(artefact guest-root "$REXT2_SUITE ${DEBIAN_MIRROR:-} ${REXT2_GUEST_PACKAGES[*]}" \
		"$REXT2_TOP/qemu/build" root "${REXT2_GUEST_PACKAGES[@]}") || exit
	printf '%s\n' "$dir/root.erofs"
}

# The configuration comes with the headers, beside the modules in the same root.
guest_modules() {
	local source dir
	source=$(kernel_modules) || exit
	dir=$(artefact guest-modules "$source" "$REXT2_TOP/qemu/build" modules "$source" \
		"${source%/lib/modules/*}/src/linux-headers-${source##*/}/.config") || exit
	printf '%s\n' "$dir/modules.erofs"
}

guest_initramfs() {
	local source text dir
	source=$(kernel_modules) || exit
	text=$(sha256sum "$REXT2_TOP/qemu/initramfs.py" "$REXT2_TOP/qemu/guest/init")
	dir=$(artefact guest-initramfs "$source $text" "$REXT2_TOP/qemu/build" initramfs "$source" "$text") || exit
	printf '%s\n' "$dir/initramfs"
}

guest_arguments() {
	local kernel initramfs root modules
	kernel=$(kernel_image) || exit
	modules=$(guest_modules) || exit
	initramfs=$(guest_initramfs) || exit
	root=$(guest_root) || exit
	# shellcheck disable=SC2034 # the caller's
	guest_arguments=(--kernel "$kernel" --initramfs "$initramfs" --root "$root" --modules-image "$modules")
}
