# SPDX-License-Identifier: GPL-2.0
#
# What a person types; `make help` lists it. With KDIR=<kernel build directory> the kernel targets work natively,
# as in every out-of-tree module; without it they run against Debian's stock kernel, in a tool root that
# the scripts set up.

KDIR ?=
MO ?= $(CURDIR)/build
CMD ?=
XFSTESTS ?=
ARGS ?=

.DEFAULT_GOAL := modules
kernel_targets := modules clippy rust-analyzer rustdoc

ifneq ($(strip $(KDIR)),)

# The compiler that the kernel was built with, unless the caller names one.
kernel_cc = $(shell sed -n 's/^CONFIG_CC_VERSION_TEXT="\([^ ]*\) .*/\1/p' $(KDIR)/.config)
kbuild = $(if $(V),,@)$(MAKE) --no-print-directory -C $(KDIR) M=$(CURDIR) $(if $(LLVM)$(filter command%,$(origin CC)),,CC=$(kernel_cc))

trouble := $(shell scripts/check-kdir '$(KDIR)')
ifneq ($(trouble),)
$(error $(trouble))
endif

.PHONY: $(kernel_targets) modules_install
modules modules_install:
	$(kbuild) MO=$(MO) $@

# Apart from the module's own output, or each would undo the other's work.
clippy:
	$(kbuild) MO=$(MO)/clippy FTRACE=0 CLIPPY=1 KRUSTFLAGS=-Dwarnings modules

rust-analyzer: modules
	$(kbuild) MO=$(MO) $@
	@scripts/rust-project '$(CURDIR)' '$(MO)' $(REXT2_IN_TOOLS)

rustdoc: modules
	@scripts/rustdoc '$(MO)'

else

.PHONY: $(kernel_targets) modules_install
$(kernel_targets):
	@scripts/kmake $@ $(MAKEOVERRIDES)

# Needs no kernel build directory, and so no set-up when the superuser installs what another built.
modules_install:
	@scripts/modules-install '$(MO)' '$(INSTALL_MOD_PATH)'

endif

.PHONY: help run shell test test-full host-test fuzz xfstests bench trace rustfmt rustfmtcheck check-env clean clean-cache

help:
	@scripts/help

run:
	@CMD='$(subst ','\'',$(CMD))' scripts/run

shell:
	@scripts/run --interactive

test:
	@scripts/test

test-full:
	@scripts/test --full

host-test:
	@scripts/host-test

fuzz:
	@scripts/fuzz

xfstests:
	@XFSTESTS='$(XFSTESTS)' tests/xfstests/run $(ARGS)

bench:
	@scripts/bench $(if $(PART),--part $(PART))

trace:
	@CMD='$(subst ','\'',$(CMD))' scripts/trace


rustfmt:
	@scripts/rustfmt

rustfmtcheck:
	@scripts/rustfmt --check

check-env:
	@scripts/check-env

clean:
	rm -rf -- '$(CURDIR)/build'

clean-cache:
	@scripts/clean-cache
