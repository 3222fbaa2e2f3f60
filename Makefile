# SPDX-License-Identifier: GPL-2.0-or-later
# DSI. One non-recursive Makefile, no configure step. `make help` lists the targets; V=1 shows commands.
#
# Folders become static archives (build/lib/lib<folder>.a), mains become programs, tests/<tier>/*_test.c
# become one program each. SAN=1 builds all of it again under build/san with ASan and UBSan.

ifeq ($(origin CC),default)
CC      := gcc
endif
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)
PREFIX  ?= /usr
SYSCONFDIR ?= /etc
DESTDIR ?=
SEEDS   ?= 2000

VERSION := 0.1.0
B := build$(if $(SAN),/san)
Q := $(if $(V),,@)
SAY = $(if $(V),@:,@printf '  %-7s %s\n')

LIBS := libcpg libquorum libcfg libcmap libqb libssl libcrypto sqlite3 libseccomp jansson libbpf
CPPFLAGS += -I. -D_GNU_SOURCE -DDSI_VERSION='"$(VERSION)"'
CFLAGS ?= -O2 -g
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
DSI_CFLAGS := -std=gnu17 -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wno-unused-parameter -fstack-protector-strong -fno-strict-aliasing -fPIC $(if $(SAN),$(SAN_FLAGS))
LDLIBS := $(shell pkg-config --libs $(LIBS) 2>/dev/null) -lev -ltpl -lcap -lpthread
TEST_LDLIBS := $(shell pkg-config --libs check 2>/dev/null)

# --- what is there --------------------------------------------------------------------------------
FOLDERS := lib gcs policies kernel dsid ss-ha libdsi cli
MAINS := $(wildcard dsid/main.c ss-ha/main.c cli/main.c cli/dsi-run.c cli/dsi-mon.c)
folder_c = $(filter-out $(MAINS) %.bpf.c,$(shell find $(1) -name '*.c' 2>/dev/null | LC_ALL=C sort))
$(foreach f,$(FOLDERS),$(eval SRC_$(f) := $(call folder_c,$(f))))
ARCHIVES := $(foreach f,$(FOLDERS),$(if $(SRC_$(f)),$(B)/lib/lib$(f).a))
LINK_ARCHIVES = -Wl,--start-group $(ARCHIVES) -Wl,--end-group
PROGRAMS := $(if $(wildcard dsid/main.c),$(B)/bin/dsid) $(if $(wildcard ss-ha/main.c),$(B)/bin/dsi-ss) \
	$(if $(wildcard cli/main.c),$(B)/bin/dsi-admin)
TEST_LIB := $(wildcard tests/lib/*.c)
TESTS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/unit/*_test.c tests/golden/*_test.c tests/sim/*_test.c \
	tests/sec/*_test.c))
FUZZERS := $(wildcard tests/fuzz/fuzz_*.c)
REPLAYS := $(patsubst tests/fuzz/%.c,$(B)/tests/fuzz/%,$(FUZZERS))
HELPERS := $(patsubst tests/%.c,$(B)/tests/%,$(wildcard tests/vm/*.c tests/netns/*.c))
SKEL := $(if $(wildcard kernel/dsi.bpf.c),build/kernel/dsi.skel.h)

.PHONY: all help tests
all: $(PROGRAMS) $(ARCHIVES)
tests: $(TESTS) $(REPLAYS) $(HELPERS)

help:
	@echo 'make            build everything            make check   install what is missing, run every tier'
	@echo 'make demo       the main job on three nodes make stage   install into build/stage (the lab uses it)'
	@echo 'make check-X    X: lint unit golden sim sec fuzz netns vm san fresh'
	@echo 'make sim SEEDS=n  make soak  make bench-X  make fuzz TARGET=x TIME=s  make install DESTDIR= PREFIX=  make rpm  make clean'
	@echo 'FOLDERS="lib gcs": only these archives   SAN=1: ASan and UBSan, in build/san   V=1: show commands'

# --- compiling ------------------------------------------------------------------------------------
define archive_rule
OBJ_$(1) := $$(patsubst %.c,$(B)/%.o,$$(SRC_$(1)))
$(B)/lib/lib$(1).a: $$(OBJ_$(1))
	$$(SAY) AR $$@
	@mkdir -p $$(@D) && rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endef
$(foreach f,$(FOLDERS),$(if $(SRC_$(f)),$(eval $(call archive_rule,$(f)))))

$(B)/%.o: %.c
	$(SAY) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(DSI_CFLAGS) -MMD -MP -c $< -o $@

# The BPF object is one translation unit; its skeleton is included by the loader alone.
build/kernel/dsi.bpf.o: kernel/dsi.bpf.c $(wildcard kernel/*.h) policies/vocabulary.h
	$(SAY) BPF $@
	@mkdir -p $(@D)
	$(Q)$(CLANG) -O2 -g -target bpf -mcpu=v3 -D__bpf__ -D__TARGET_ARCH_x86 -I. -I/usr/include/$(shell uname -m)-linux-gnu \
		-Wall -Werror -c $< -o $@
	$(Q)llvm-strip -g $@
build/kernel/dsi.skel.h: build/kernel/dsi.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name dsi > $@.tmp && mv $@.tmp $@
$(B)/kernel/loader.o: $(SKEL)

$(B)/bin/dsid: $(B)/dsid/main.o $(ARCHIVES)
$(B)/bin/dsi-ss: $(B)/ss-ha/main.o $(ARCHIVES)
$(B)/bin/dsi-admin: $(B)/cli/main.o $(ARCHIVES)
$(PROGRAMS):
	$(SAY) LD $@
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(DSI_CFLAGS) -pie $< $(LINK_ARCHIVES) $(LDLIBS) -Wl,-z,relro,-z,now -o $@

TEST_OBJ := $(patsubst %.c,$(B)/%.o,$(TEST_LIB))
$(B)/tests/%: $(B)/tests/%.o $(TEST_OBJ) $(ARCHIVES)
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) $(DSI_CFLAGS) $< $(TEST_OBJ) $(LINK_ARCHIVES) $(LDLIBS) $(TEST_LDLIBS) -o $@
# Fuzz targets replay their corpus as ordinary programs; `make fuzz` builds them with libFuzzer.
$(REPLAYS): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/main.o $(ARCHIVES)
	$(SAY) LD $@
	$(Q)$(CC) $(CFLAGS) $(DSI_CFLAGS) $< $(B)/tests/fuzz/main.o $(LINK_ARCHIVES) $(LDLIBS) -o $@
.SECONDARY:

# --- tests ----------------------------------------------------------------------------------------
.PHONY: deps stage check check-lint check-unit check-golden check-sim check-sec check-fuzz check-netns check-vm check-san check-fresh sim soak fuzz demo
deps:
	@if [ "$$(id -u)" = 0 ] && [ -x tools/deps.sh ]; then tools/deps.sh build lab; fi

# Everything that depends on installed packages runs in a second make, after deps.
check: deps
	$(Q)$(MAKE) --no-print-directory all tests
	$(Q)$(MAKE) --no-print-directory stage >/dev/null
	$(Q)tests/run all
check-lint check-unit check-golden check-sim check-sec check-fuzz: all tests
	$(Q)B=$(B) tests/run $(@:check-%=%)
check-netns check-vm: all tests stage
	$(Q)tests/run $(@:check-%=%)
check-san:
	$(Q)$(MAKE) --no-print-directory SAN=1 all tests
	$(Q)B=build/san tests/run unit golden sec fuzz
# The same from a clone, in a new root where nothing was ever installed. WHAT='make demo': the demo there.
WHAT ?= make check
check-fresh:
	$(Q)tests/fresh.sh $(WHAT)
# Hours of random histories.
soak: SEEDS = 1000000
soak: sim
sim: $(filter $(B)/tests/sim/%,$(TESTS))
	$(Q)for t in $^; do SEEDS=$(SEEDS) $$t || exit 1; done
demo: deps
	$(Q)$(MAKE) --no-print-directory all tests stage
	$(Q)tests/demo.sh
TIME ?= 60
fuzz:
	@mkdir -p build/fuzz tests/fuzz/corpus/$(TARGET)
	$(Q)$(CLANG) $(CPPFLAGS) -O1 -g -std=gnu17 -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_$(TARGET).c \
		$(foreach f,lib gcs policies,$(SRC_$(f))) $(LDLIBS) -o build/fuzz/$(TARGET)
	$(Q)build/fuzz/$(TARGET) -max_total_time=$(TIME) tests/fuzz/corpus/$(TARGET)
bench-%: all
	$(Q)bench/$*.sh

# --- installing -----------------------------------------------------------------------------------
.PHONY: install uninstall rpm dist clean
INSTALL := install
install: all
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/systemd/system \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(DESTDIR)$(PREFIX)/share/dsi/policies \
		$(DESTDIR)$(SYSCONFDIR)/corosync/uidgid.d $(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions
	[ -d $(DESTDIR)$(SYSCONFDIR)/dsi ] || $(INSTALL) -d -m 0755 $(DESTDIR)$(SYSCONFDIR)/dsi # never touched again: it is guarded
	for p in $(PROGRAMS); do $(INSTALL) -m 0755 $$p $(DESTDIR)$(PREFIX)/sbin/; done
	if [ -f lab/dsi-lab ]; then $(INSTALL) -d $(DESTDIR)$(PREFIX)/share/dsi/lab && cp -a lab/. $(DESTDIR)$(PREFIX)/share/dsi/lab/ && \
		ln -sf ../share/dsi/lab/dsi-lab $(DESTDIR)$(PREFIX)/sbin/dsi-lab; fi
	for f in $(wildcard init/*.service); do $(INSTALL) -m 0644 $$f $(DESTDIR)$(PREFIX)/lib/systemd/system/; done
	for f in $(wildcard init/*.sysusers); do $(INSTALL) -m 0644 $$f $(DESTDIR)$(PREFIX)/lib/sysusers.d/$$(basename $$f .sysusers).conf; done
	for f in $(wildcard init/*.tmpfiles); do $(INSTALL) -m 0644 $$f $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/$$(basename $$f .tmpfiles).conf; done
	if [ -f init/corosync-uidgid.dsi ]; then $(INSTALL) -m 0644 init/corosync-uidgid.dsi $(DESTDIR)$(SYSCONFDIR)/corosync/uidgid.d/dsi; fi
	for d in base examples; do [ ! -d policies/$$d ] || cp -r policies/$$d $(DESTDIR)$(PREFIX)/share/dsi/policies/; done
	[ ! -f policies/must-allow.list ] || $(INSTALL) -m 0644 policies/must-allow.list $(DESTDIR)$(PREFIX)/share/dsi/policies/
	for f in $(wildcard man/*.[578]); do $(INSTALL) -m 0644 $$f $(DESTDIR)$(PREFIX)/share/man/man$${f##*.}/; done
	[ ! -f cli/dsi-admin.bash ] || $(INSTALL) -m 0644 cli/dsi-admin.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/dsi-admin
uninstall:
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/sbin/,dsid dsi-ss dsi-admin dsi-lab) \
		$(addprefix $(DESTDIR)$(PREFIX)/lib/systemd/system/,$(notdir $(wildcard init/*.service)))
	rm -rf $(DESTDIR)$(PREFIX)/share/dsi
stage: all
	$(Q)rm -rf build/stage.new && $(MAKE) --no-print-directory -s install DESTDIR=$(CURDIR)/build/stage.new
	$(Q)mkdir -p build/stage && cp -a --remove-destination build/stage.new/. build/stage/ && rm -rf build/stage.new
dist:
	$(Q)mkdir -p build && git archive --prefix=dsi-$(VERSION)/ -o build/dsi-$(VERSION).tar.gz HEAD
rpm: dist
	$(Q)rpmbuild -ta --nodeps --define '_topdir $(CURDIR)/build/rpm' build/dsi-$(VERSION).tar.gz
clean:
	rm -rf build

-include $(shell find $(B) -path '*/stage*' -prune -o -path '*/lab' -prune -o -name '*.d' -type f -print 2>/dev/null)
