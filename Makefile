# SPDX-License-Identifier: GPL-2.0
#
# Two things in one file:
#
#   make run | test | compare | bench | shell | doctor
#       the lab: everything that is missing is installed, fetched and built first.
#
#   make KDIR=/path/to/built/kernel
#       cohfs.ko alone, in this directory, with make and the compilers of that kernel;
#       then `make KDIR=... modules_install`.
#
#   make tools_install [DESTDIR=DIR]
#       mkfs.cohfs and fsck.cohfs, which are those of ext2, and the man page.
#
# The kernel's build system reads Kbuild, not this file.

.DEFAULT_GOAL := modules

LAB := run test compare bench shell doctor setup paths list report check tidy
.PHONY: $(LAB) modules modules_install tools_install clean help bootstrap

help:
	@echo 'make run              compare cohfs with stock ext2 in a virtual machine'
	@echo 'make test             everything that is tested'
	@echo 'make compare          the claims on more file systems'
	@echo 'make bench            how long things take, on cohfs and on others'
	@echo 'make shell            a prompt in the virtual machine'
	@echo 'make doctor           what this machine lacks'
	@echo 'make KDIR=DIR         build cohfs.ko for the built kernel in DIR'
	@echo 'make tools_install    mkfs.cohfs, fsck.cohfs and the man page, below DESTDIR'
	@echo 'make clean            remove what was built'
	@echo 'Options go to ARGS=, as in: make test ARGS="T21 --variant base"'

# --- The lab ---------------------------------------------------------------------------

# cargo does not pass on make's job server: with these variables the kernel would build
# with one job.
$(LAB): bootstrap
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL cargo xtask $@ $(ARGS)

# The lab is a Rust program: it takes a C compiler to link before it can install anything.
bootstrap:
	@command -v cargo >/dev/null || { \
		echo 'error: no cargo. Install Rust with rustup, or put ~/.cargo/bin on the PATH.' >&2; \
		exit 69; }
	@test -n "$$(command -v cc)" -a -e /usr/include/stdlib.h || { \
		echo '       Setup  apt-get install --no-install-recommends gcc libc6-dev' >&2; \
		if test "$$(id -u)" = 0; then sudo=; else sudo='sudo -n'; fi; \
		{ $$sudo apt-get -q update && \
		  $$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install --yes \
			--no-install-recommends gcc libc6-dev; } >&2 || { \
			echo 'error: no C compiler. Run that command as root, then try again.' >&2; \
			exit 69; }; }

# --- What goes beside the module ---------------------------------------------------------

sbindir ?= /usr/sbin
mandir ?= /usr/share/man

# mount(8) and fsck(8) look for them by the name of the file system. e2fsprogs goes by the name that
# it is called by, so links would do for fsck; mke2fs would take the name for a kind of ext4.
tools_install:
	install -d '$(DESTDIR)$(sbindir)' '$(DESTDIR)$(mandir)/man5'
	printf '#!/bin/sh\nexec mke2fs -t ext2 "$$@"\n' > '$(DESTDIR)$(sbindir)/mkfs.cohfs'
	printf '#!/bin/sh\nexec e2fsck "$$@"\n' > '$(DESTDIR)$(sbindir)/fsck.cohfs'
	chmod 755 '$(DESTDIR)$(sbindir)/mkfs.cohfs' '$(DESTDIR)$(sbindir)/fsck.cohfs'
	install -m 644 Documentation/cohfs.5 '$(DESTDIR)$(mandir)/man5/cohfs.5'

# --- The module alone ------------------------------------------------------------------

ifneq ($(filter-out $(LAB) help bootstrap tools_install,$(or $(MAKECMDGOALS),modules)),)

# What a tree was built with is in its configuration.
ifneq ($(KDIR),)
conf := $(KDIR)/include/config/auto.conf
option = $(strip $(shell sed -n 's/^$(1)=//p' $(conf) 2>/dev/null))

# The same C compiler: LLVM=-19 for a tree built with clang 19, unless you know better. DKMS does not: it says
# CC=clang LD=ld.lld of each such tree, whatever these are called.
given-cc := $(if $(filter-out default,$(origin CC)),$(CC))
ifeq ($(given-cc)$(shell command -v clang),clang)
given-cc :=
MAKEOVERRIDES :=
endif
ifeq ($(LLVM)$(given-cc),)
ifeq ($(call option,CONFIG_CC_IS_CLANG),y)
clang-release := $(shell echo $$(( $(call option,CONFIG_CLANG_VERSION) / 10000 )))
LLVM := $(if $(shell command -v clang-$(clang-release)),-$(clang-release),1)
endif
endif

# The same Rust compiler: the first that says it is, and what lies beside it.
ifeq ($(RUSTC),)
rustc-text := $(call option,CONFIG_RUSTC_VERSION_TEXT)
RUSTC := $(shell for rustc in $$(command -v rustc) /usr/bin/rustc; do \
		if test "$$($$rustc --version 2>/dev/null)" = '$(rustc-text)'; then \
			echo $$rustc; break; fi; done)
endif
cache := $(or $(COHFS_CACHE_DIR),$(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME)/cohfs),$(HOME)/.cache/cohfs)
BINDGEN ?= $(firstword $(wildcard $(cache)/tools/bin/bindgen) bindgen)
ifeq ($(LIBCLANG_PATH),)
libclang := $(wildcard /usr/lib/llvm$(or $(filter -%,$(LLVM)),-19)/lib)
export LIBCLANG_PATH := $(libclang)
endif
endif

kbuild = $(MAKE) -C '$(KDIR)' M='$(CURDIR)' $(if $(LLVM),LLVM=$(LLVM)) \
	$(if $(given-cc),CC='$(given-cc)') \
	RUSTC='$(RUSTC)' BINDGEN='$(BINDGEN)' CLIPPY_DRIVER='$(dir $(RUSTC))clippy-driver'

# Without one of these the module would be built, and not be loaded.
needs := BLOCK BUFFER_HEAD DEBUG_FS EXPORTFS FS_IOMAP FS_POSIX_ACL MODULES TRACEPOINTS

.PHONY: kdir-is-sound
kdir-is-sound:
	@test -n '$(KDIR)' || { \
		echo 'error: which kernel? make KDIR=/path/to/built/kernel builds cohfs.ko for it;' >&2; \
		echo '       make run and make test get a kernel of their own. See make help.' >&2; \
		exit 2; }
	@test -e '$(conf)' || { \
		echo 'error: $(KDIR) is not the build directory of a configured kernel' >&2; \
		echo '       ($(conf) does not exist)' >&2; exit 69; }
	@test '$(call option,CONFIG_RUST)' = y || { \
		echo 'error: the kernel in $(KDIR) was configured without CONFIG_RUST=y;' >&2; \
		echo '       qemu/config/base.config shows what cohfs needs' >&2; exit 69; }
	@for option in $(needs); do \
		grep -q "^CONFIG_$$option=" '$(conf)' || { \
		echo "error: the kernel in $(KDIR) was configured without CONFIG_$$option," >&2; \
		echo '       which the module calls; qemu/config/base.config shows what it needs' >&2; \
		exit 69; }; done
	@test -e '$(KDIR)/rust/libkernel.rmeta' -a -e '$(KDIR)/Module.symvers' || { \
		echo 'error: $(KDIR) holds no built kernel: rust/libkernel.rmeta or' >&2; \
		echo '       Module.symvers is missing' >&2; exit 69; }
	@test -n '$(RUSTC)' || { \
		echo 'error: the kernel in $(KDIR) was built with $(rustc-text):' >&2; \
		echo '       that compiler is not on the PATH; name it with RUSTC=' >&2; exit 69; }

modules: kdir-is-sound
	$(kbuild) modules

modules_install: kdir-is-sound
	$(kbuild) modules_install

clean:
	$(if $(wildcard $(conf)),$(kbuild) clean)
	rm -rf target/module target/guest target/lab

endif
