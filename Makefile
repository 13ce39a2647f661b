# Millrace: one Makefile for everything. `make help` lists what it can do.
#
# Every .c under core, cdc, projections and cli is compiled; no list to keep. Each combination of compiler and
# sanitizer has a folder of its own (build, build/clang, build/address ...), so they never mix.
#
# Variables: CC, CFLAGS (default -O2 -g), WERROR= (warnings stay warnings), SANITIZER=address|undefined|thread|fuzzer
# (address brings undefined with it, fuzzer both, and needs clang), V=1 (show commands), DESTDIR, PREFIX; FAULTS=1, BUG=name: core/base/fault.h.

ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
CFLAGS ?= -O2 -g
WERROR ?= -Werror
SANITIZER ?=
FAULTS ?=
BUG ?=
PREFIX ?= /usr/local
DESTDIR ?=
VERSION := 0.1.0

ifneq ($(SANITIZER),)
ifeq ($(filter address undefined thread fuzzer,$(SANITIZER)),)
$(error SANITIZER must be address, undefined, thread or fuzzer, not '$(SANITIZER)')
endif
endif

empty :=
space := $(empty) $(empty)
compiler := $(notdir $(firstword $(CC)))
variant := $(filter-out gcc cc,$(compiler)) $(SANITIZER) $(if $(BUG),bug-$(BUG),$(if $(FAULTS),faults))
B := $(subst $(space),/,$(strip build $(subst $(space),-,$(strip $(variant)))))

# ---- flags -------------------------------------------------------------------------------------------------
warnings := -Wall -Wextra -Wshadow -Wconversion -Wswitch-enum -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wundef -Wvla $(WERROR)
sanitize_address := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
sanitize_undefined := -fsanitize=undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
sanitize_fuzzer := -fsanitize=fuzzer-no-link $(sanitize_address)
sanitize_thread := -fsanitize=thread -fno-omit-frame-pointer
# gcc leaves functions that take a va_list alone here, clang does not: gcc's answer decides
ifneq ($(findstring clang,$(compiler)),)
warnings += -Wno-format-nonliteral
endif
ifeq ($(SANITIZER),)
harden := -fstack-protector-strong $(if $(filter -O0,$(CFLAGS)),,-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
harden_link := -Wl,-z,relro -Wl,-z,now
else
harden := $(sanitize_$(SANITIZER))
harden_link := $(sanitize_$(SANITIZER))
endif

# Foreign headers count as system headers: their warnings are not ours to fix. Asked for when the first recipe
# needs it, so that `make help` and `make demo` work before anything is installed.
packages := libmariadb libpq rdkafka avro-c jansson inih libmicrohttpd libcurl sqlite3 zlib libzstd
once = $(eval $(1) := $(2))$($(1))
lib_cflags = $(call once,lib_cflags,$(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(packages))))
lib_libs = $(call once,lib_libs,$(shell pkg-config --libs $(packages)) -lpthread -lm)
check_cflags = $(call once,check_cflags,$(patsubst -I%,-isystem %,$(shell pkg-config --cflags check)))
check_libs = $(call once,check_libs,$(shell pkg-config --libs check))

fault_flags := $(if $(FAULTS)$(BUG),-DMILLRACE_FAULTS) $(if $(BUG),-DMILLRACE_BUG=$(BUG))
own_flags := -std=gnu11 -D_GNU_SOURCE $(fault_flags) -DMILLRACE_VERSION='"$(VERSION)"' -I. -I$(B)/gen $(warnings) $(harden) -fPIE
compile = $(CC) $(CFLAGS) $(own_flags) $(lib_cflags) $(test_cflags) -MMD -MP -c -o $@ $<
link = $(CC) $(CFLAGS) $(LDFLAGS) $(harden_link) -pie -o $@

ifeq ($(V),1)
say =
else
say = @printf '  %-7s %s\n' $(1) '$@';
endif

# ---- what there is -----------------------------------------------------------------------------------------
sources := $(sort $(shell find core cdc projections cli -name '*.c' 2>/dev/null))
objects := $(sources:%.c=$(B)/obj/%.o)
lib_objects := $(filter-out $(B)/obj/cli/main.o,$(objects))
unit_sources := $(sort $(wildcard test/unit/test_*.c))
units := $(unit_sources:test/unit/%.c=$(B)/unit/%)
help_sources := $(sort $(wildcard test/lib/*.c))
help_objects := $(help_sources:%.c=$(B)/obj/%.o)
# stands in for source and brokers; only where asked for, since it defines functions of core/ anew
script_sources := $(sort $(wildcard test/script/*.c))
script_objects := $(script_sources:%.c=$(B)/obj/%.o)
scripted := $(filter $(B)/unit/test_sweep%,$(units))
# the library's mock brokers, with what they lack: stands in for a few functions only (ld --wrap)
mock_sources := $(sort $(wildcard test/mock/*.c))
mock_objects := $(mock_sources:%.c=$(B)/obj/%.o) $(filter-out %/script_kafka.o,$(script_objects))
mocked := $(filter $(B)/unit/test_mock%,$(units))
mock_wraps := rd_kafka_produce rd_kafka_last_error rd_kafka_begin_transaction rd_kafka_commit_transaction \
	rd_kafka_abort_transaction rd_kafka_consume_queue rd_kafka_consume_batch_queue producer_flush report_can_write \
	admin_topic admin_partitions admin_ensure_topic admin_ensure_topics admin_message_max admin_offsets_at
bench_sources := $(sort $(wildcard test/bench/*.c))
benches := $(bench_sources:test/bench/%.c=$(B)/bench/%)
# fuzz targets; what else lies in test/fuzz is for all of them, or (replay.c) for those without libFuzzer
fuzz_sources := $(sort $(wildcard test/fuzz/fuzz_*.c))
fuzz_help_objects := $(patsubst %.c,$(B)/obj/%.o,$(filter-out $(fuzz_sources) test/fuzz/replay.c,$(wildcard test/fuzz/*.c)))
fuzzers := $(fuzz_sources:test/fuzz/%.c=$(B)/fuzz/%)
replays := $(fuzz_sources:test/fuzz/%.c=$(B)/replay/%)
load_sources := $(sort $(wildcard examples/meetup/*.c))
load_objects := $(load_sources:%.c=$(B)/obj/%.o)
page_files := $(sort $(wildcard core/http/page/*.html core/http/page/*.css core/http/page/*.js core/http/page/*.svg))
schema_files := $(sort $(wildcard schemas/*.avsc))
generated := $(if $(page_files),$(B)/gen/page.gen.h) $(if $(schema_files),$(B)/gen/schemas.gen.h)

lib := $(B)/libmillrace.a
programs := $(if $(wildcard cli/main.c),$(B)/millrace) $(if $(load_sources),$(B)/meetup-load)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help units replays fuzzers benches demo check test test-long fuzz sanitize servers faults faults-prove views views-prove types types-prove lint format bench bench-stores memory install clean golden-update FORCE

all: $(lib) $(programs) ## build everything that gets installed (the default)

help: ## list the targets
	@echo 'make [TARGET] [CC=clang] [SANITIZER=address|undefined|thread|fuzzer] [WERROR=] [V=1]'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile

units: $(units) $(replays) ## build the unit tests, and the fuzz targets without libFuzzer

replays: $(replays)

fuzzers: $(fuzzers)

benches: $(benches) ## build the benchmarks

demo: ## set up, start real servers, and tell the whole story
	@scripts/setup --demo
	@$(MAKE) --no-print-directory all
	@scripts/demo

check: ## unit tests, golden files, layers and lint: seconds, no servers
	@MAKEFLAGS= BUILD=$(B) scripts/test --quick CC='$(CC)' SANITIZER='$(SANITIZER)' WERROR='$(WERROR)'

test: ## everything, with real servers; ends with 'N passed, N failed'; DATABASE=mysql:9.7: the suites that run on any
	@MAKEFLAGS= DATABASE= scripts/test $(if $(DATABASE),--database '$(DATABASE)')

test-long: ## what make test leaves out and names: minutes each, of what it tests in small or on another server
	@MAKEFLAGS= DATABASE= scripts/test --long

servers: ## fetch every database that Millrace is tested with, about 0.5 GB; then a table of them
	@scripts/setup --servers
	@scripts/databases list

faults: ## random histories under faults against real servers: SEED=n RUNS=n LANES=n
	@MAKEFLAGS= scripts/faults run '$(SEED)' '$(RUNS)' '$(LANES)'

faults-prove: ## build known mistakes in, one at a time: make faults must find each
	@MAKEFLAGS= scripts/faults prove '$(SEED)' '$(LANES)'

views: ## random histories of views in every store, with kills and readers: SEED=n HISTORIES=n SWAPS=n STORES=a,b KINDS=a,b LANES=n
	@MAKEFLAGS= scripts/views run

views-prove: ## build known mistakes in, one at a time: make views must find each
	@MAKEFLAGS= scripts/views prove

fuzz: ## let libFuzzer at every decoder of foreign bytes: SECONDS=n each, TARGET=name, LANES=n
	@MAKEFLAGS= scripts/fuzz run '$(SECONDS)' '$(TARGET)' '$(LANES)'

sanitize: ## unit tests and the inputs that fuzzing keeps, under AddressSanitizer and UndefinedBehaviorSanitizer
	@MAKEFLAGS= scripts/test --sanitize

types: ## every type of every server, seen four ways: SEED=n VALUES=n DATABASE=mysql:8.0,mariadb:10.11
	@scripts/setup --servers || [ $$? -eq 5 ]
	@MAKEFLAGS= scripts/types run $(if $(SEED),--seed '$(SEED)') $(if $(VALUES),--values '$(VALUES)') $(if $(DATABASE),--database '$(DATABASE)')

types-prove: ## build known mistakes in, one at a time: make types must find each
	@MAKEFLAGS= scripts/types prove '$(SEED)'

lint: ## layers, banned calls, sizes, style
	@scripts/lint

format: ## lay out the C code anew (clang-format)
	find core cdc projections cli examples test -name '*.[ch]' | xargs clang-format -i

bench: ## measure throughput, latency, memory, replay and verify in each store, with real servers: ROWS=n ROUNDS=n STORES=a,b STEPS='a b' JSON=1
	@scripts/setup --test
	@$(MAKE) --no-print-directory all $(benches)
	@scripts/bench $(if $(JSON),--json) $(STEPS)

bench-stores: ## of that only the stores: replay in each beside its own bulk load, and verify: ROWS=n ROUNDS=n STORES=a,b
	@$(MAKE) --no-print-directory bench STEPS=stores

memory: ## measure peak memory with what is larger than the budget, with real servers
	@scripts/setup --test
	@$(MAKE) --no-print-directory all
	@scripts/memory

golden-update: all ## write the golden files anew from what the code does now
	@$(MAKE) --no-print-directory $(B)/unit/test_mapping
	set -e; for f in test/golden/*.binlog; do \
		$(B)/millrace decode --events $$f > $${f%.binlog}.jsonl; done
	UPDATE_GOLDEN=1 $(B)/unit/test_mapping

install: all ## install under DESTDIR and PREFIX (default /usr/local)
	install -D -m 755 $(B)/millrace '$(DESTDIR)$(PREFIX)/bin/millrace'
	install -D -m 644 conf/millrace.sysusers '$(DESTDIR)$(PREFIX)/lib/sysusers.d/millrace.conf'
	set -e; for f in $(wildcard conf/*.conf conf/*.sql conf/*.yaml schemas/*); do \
		install -D -m 644 $$f '$(DESTDIR)$(PREFIX)/share/millrace/'$$f; done
	set -e; for f in $(notdir $(wildcard conf/*.service)); do \
		sed 's,/usr/\(bin\|share\)/,$(PREFIX)/\1/,' conf/$$f > $(B)/$$f; \
		install -D -m 644 $(B)/$$f '$(DESTDIR)$(PREFIX)/lib/systemd/system/'$$f; done

clean: ## remove what was compiled (what scripts/setup fetched stays)
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name kafka ! -name dynamodb ! -name servers ! -name venv ! -name 'setup.*' -exec rm -rf {} +

# ---- rules -------------------------------------------------------------------------------------------------
# A file that changes only when its content does: what depends on it is rebuilt when flags or file lists change.
define remember
@mkdir -p $(@D); printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' > $@
endef

$(B)/flags: FORCE | $(B)/libraries
	$(call remember,$(CC) $(CFLAGS) $(own_flags) $(lib_cflags))

$(B)/members: FORCE
	$(call remember,$(lib_objects))

# The libraries' names, once all of them were found; the one place that says what to do when they were not.
$(B)/libraries:
	@pkg-config --print-errors --exists $(packages) || \
		{ echo 'a library is missing: run scripts/setup' >&2; exit 1; }
	@mkdir -p $(@D); echo '$(packages)' > $@

# The web page and Millrace's own schemas travel inside the binary: page_files[] and schemas_files[].
$(B)/gen/page.gen.h: $(page_files) core/http/page scripts/embed
	$(call say,GEN)mkdir -p $(@D) && scripts/embed page $(page_files) > $@

$(B)/gen/schemas.gen.h: $(schema_files) schemas scripts/embed
	$(call say,GEN)mkdir -p $(@D) && scripts/embed schemas $(schema_files) > $@

$(B)/obj/%.o: %.c $(B)/flags | $(generated)
	$(call say,CC)mkdir -p $(@D) && $(compile)

# check's header is for tests only
$(B)/obj/test/unit/%.o $(B)/obj/test/lib/%.o $(B)/obj/test/script/%.o $(B)/obj/test/mock/%.o: test_cflags = $(check_cflags)

$(lib): $(lib_objects) $(B)/members
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $(lib_objects)

$(B)/libtest.a: $(help_objects)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^

$(B)/libscript.a: $(script_objects)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^

$(B)/libmock.a: $(mock_objects)
	$(call say,AR)rm -f $@ && $(AR) rcs $@ $^

$(B)/millrace: $(B)/obj/cli/main.o $(lib)
	$(call say,LD)$(link) $^ $(lib_libs)

$(B)/meetup-load: $(load_objects) $(lib)
	$(call say,LD)$(link) $^ $(lib_libs)

$(B)/unit/%: $(B)/obj/test/unit/%.o $(if $(help_sources),$(B)/libtest.a) $(lib)
	$(call say,LD)mkdir -p $(@D) && $(link) $(wraps) $< $(filter %/libscript.a %/libmock.a,$^) \
		$(filter-out $< %/libscript.a %/libmock.a,$^) $(check_libs) $(lib_libs)

$(scripted): $(B)/libscript.a

$(mocked): $(B)/libmock.a
$(mocked): wraps = $(mock_wraps:%=-Wl,--wrap=%)

# a target with libFuzzer's main, or with one that replays inputs
$(B)/fuzz/%: $(B)/obj/test/fuzz/%.o $(fuzz_help_objects) $(B)/libtest.a $(lib)
	$(call say,LD)mkdir -p $(@D) && $(link) -fsanitize=fuzzer $^ $(lib_libs)

$(B)/replay/%: $(B)/obj/test/fuzz/%.o $(B)/obj/test/fuzz/replay.o $(fuzz_help_objects) $(B)/libtest.a $(lib)
	$(call say,LD)mkdir -p $(@D) && $(link) $^ $(lib_libs)

$(B)/bench/%: $(B)/obj/test/bench/%.o $(lib)
	$(call say,LD)mkdir -p $(@D) && $(link) $^ $(lib_libs)

FORCE:

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
