# JormunDB: `make run` starts the server, `make test` tests it; both install what this machine lacks. `make help` lists the rest.
#
# There is one cargo profile, release, for the server, the tests, clippy and the benches: RocksDB takes about 20 minutes of two
# cores to compile and is compiled once per profile. For the same reason the build directory is shared by all clones. Under
# test, debug assertions are switched on for this crate alone, which leaves the compiled dependencies as they are.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# One cargo at a time: two would wait for each other's lock, or compile RocksDB side by side.
.NOTPARALLEL:

PORT ?= 8002
HOST ?= 127.0.0.1
DATA_DIR ?= data
VERBOSE ?=
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
LOAD_SECONDS ?= 3
SOAK_SECONDS ?= 600
ENDPOINT ?=
BENCH_DIR ?= $(JORMUN_CACHE)/bench
CRASH_CYCLES ?= 100
CRASH_POWER_CUTS ?= 100
CRASH_SEED ?= 1
MODEL_STEPS ?= 250000
MODEL_KILLS ?= 120
MODEL_SEED ?= 1

export JORMUN_CACHE ?= $(HOME)/.cache/jormundb
export CARGO_TARGET_DIR ?= $(JORMUN_CACHE)/target

# Bounds in seconds. A build from nothing compiles RocksDB; everything else takes a fraction of these.
BUILD := timeout 4500 cargo
RUN := timeout 900
UNDER_TEST := --release --locked --config 'profile.release.package.jormundb.debug-assertions=true'
BINARY := $(CARGO_TARGET_DIR)/release/jormundb
# The load generator is a package of its own and does not know of RocksDB.
LOAD_RUN := CARGO_TARGET_DIR=$(JORMUN_CACHE)/load-target timeout $$((5400 + $(SOAK_SECONDS))) \
	cargo run --quiet --release --locked --manifest-path tools/load/Cargo.toml --
LOAD_FLAGS ?=
# Results of a suite: a Markdown report, a JSON file and plots.
LOAD_MEASURE = $(LOAD_RUN) --seconds $(LOAD_SECONDS) --dir '$(BENCH_DIR)' --out tools/load/results/$(1) \
	$(if $(ENDPOINT),--endpoint '$(ENDPOINT)',--server $(BINARY)) $(LOAD_FLAGS)

.PHONY: help run test test-rust test-python test-js build build-tests release check check-fmt check-clippy check-tidy \
        crash-test model-test bench bench-code bench-peers bench-report bench-all soak peers fuzz asan sanitize fmt install clean system \
        python node

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

run: build ## Start the server: make run [PORT=8002 HOST=127.0.0.1 DATA_DIR=data VERBOSE=1]
	@exec $(BINARY) --port '$(PORT)' --host '$(HOST)' --data-dir '$(DATA_DIR)' $(if $(filter-out 0,$(VERBOSE)),--verbose)

test: test-rust test-python test-js ## Run every test: Rust, then boto3, the AWS CLI and PynamoDB, then JavaScript

test-rust: build-tests
	@ulimit -n hard; $(RUN) cargo test $(UNDER_TEST)

test-python: build-tests python node
	@ulimit -n hard; JORMUN_BINARY=$(BINARY) PYTHONDONTWRITEBYTECODE=1 \
		$(RUN) "$$(tools/setup.sh python-path)" -m pytest -c tests/python/pytest.ini tests/python

test-js: build-tests python node
	@cd tests/js; JORMUN_BINARY=$(BINARY) $(RUN) "$$(../../tools/setup.sh node-path)" --test

crash-test: build-tests ## Kill the server, cut its power: make crash-test [CRASH_CYCLES=100 CRASH_POWER_CUTS=100 CRASH_SEED=1]
	@CRASH_CYCLES=$(CRASH_CYCLES) CRASH_POWER_CUTS=$(CRASH_POWER_CUTS) CRASH_SEED=$(CRASH_SEED) timeout 7200 cargo test $(UNDER_TEST) --test integration \
		crash:: -- --nocapture

model-test: build-tests ## Compare the server with a model: make model-test [MODEL_STEPS=250000 MODEL_KILLS=120 MODEL_SEED=1]
	@ulimit -n hard; MODEL_STEPS=$(MODEL_STEPS) MODEL_KILLS=$(MODEL_KILLS) MODEL_SEED=$(MODEL_SEED) timeout 7200 \
		cargo test $(UNDER_TEST) --test integration model:: -- --nocapture

build-tests: system
	@$(BUILD) test $(UNDER_TEST) --no-run

build: system ## Compile the server
	@$(BUILD) build --release --locked

release: build ## Pack the server, stripped, as dist/jormundb-<version>-<target>.tar.gz
	@version=$$($(BINARY) --version | cut -d' ' -f2); name=jormundb-$$version-$$(rustc -vV | sed -n 's/^host: //p'); \
	rm -rf "dist/$$name"; install -D -m 755 -s $(BINARY) "dist/$$name/jormundb"; cp README.md LICENSE "dist/$$name"; \
	tar -C dist -czf "dist/$$name.tar.gz" "$$name"; rm -r "dist/$$name"; ls -l "dist/$$name.tar.gz"

check: check-fmt check-clippy check-tidy ## Check formatting, clippy's lints and the project's own (tests/tidy.rs)

check-fmt:
	@cargo fmt --check

check-clippy: system
	@$(BUILD) clippy --release --locked --all-targets -- -D warnings

check-tidy: system
	@$(BUILD) test $(UNDER_TEST) --test tidy

bench: build ## Measure the server (6 min): make bench [LOAD_SECONDS=3 ENDPOINT=<host:port> LOAD_FLAGS=..]
	@$(call LOAD_MEASURE,standard) --suite standard

bench-code: system ## Measure parts of the code with criterion: make bench-code [BENCH=<name>]
	@$(BUILD) bench --locked $(if $(BENCH),--bench '$(BENCH)')

bench-peers: build peers ## Measure Redis, dynalite, moto and dynoxide in turns with the server (5 min)
	@$(call LOAD_MEASURE,peers) --section peers $$(tools/peers.sh flags)

bench-report: build peers ## Measure all that PERFORMANCE.md reports (20 min)
	@$(call LOAD_MEASURE,report) --suite report $$(tools/peers.sh flags)

bench-all: build peers bench-code ## Measure everything: criterion, each section in full (30 min)
	@$(call LOAD_MEASURE,all) --suite all $$(tools/peers.sh flags)

soak: build ## Load the server for a long time and watch what it takes: make soak [SOAK_SECONDS=600]
	@$(call LOAD_MEASURE,soak) --soak $(SOAK_SECONDS)

peers: node
	@tools/peers.sh install

# cargo-fuzz sets RUSTFLAGS, which hides those of .cargo/config.toml; sonic-rs chooses its vector code by them.
fuzz: system ## Fuzz each target for FUZZ_SECONDS: make fuzz [FUZZ_SECONDS=60 TARGET=<name>]
	@command -v cargo-fuzz >/dev/null || timeout 1200 cargo install --locked cargo-fuzz
	@for target in $(or $(TARGET),$(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))); do \
		mkdir -p fuzz/corpus/$$target; \
		seeds=$$(ls -d fuzz/seeds/$$target 2>/dev/null || true); \
		dictionary=$$(ls fuzz/dictionaries/$$target.dict 2>/dev/null || true); \
		RUSTC_BOOTSTRAP=1 RUSTFLAGS='-C target-cpu=native' CARGO_TARGET_DIR=$(JORMUN_CACHE)/fuzz-target \
			timeout $$(($(FUZZ_SECONDS) + 3600)) cargo fuzz run "$$target" fuzz/corpus/$$target $$seeds -- \
			-timeout=10 -max_total_time=$(FUZZ_SECONDS) $${dictionary:+-dict=$$dictionary}; \
	done

# RocksDB as it is compiled already: of its accesses those are checked that go through malloc or the C library. sonic-rs reads
# past the end of strings, within a page, unless told not to. The tests that are skipped measure memory, of which the sanitizer
# takes much.
asan: build-tests ## Run the unit and integration tests under AddressSanitizer: make asan [TESTS=storage::]
	@library=$$(ls -t $(CARGO_TARGET_DIR)/release/build/librocksdb-sys-*/out/librocksdb.a | head -1); ulimit -n hard; \
	RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address -Ctarget-cpu=native' \
		ROCKSDB_LIB_DIR="$${library%/*}" ROCKSDB_STATIC=1 CARGO_TARGET_DIR=$(JORMUN_CACHE)/asan-target \
		timeout 7200 cargo test $(UNDER_TEST) --config 'profile.release.opt-level=1' --features sonic-rs/sanitize \
		--target "$$(rustc -vV | sed -n 's/^host: //p')" --lib --test integration -- $(TESTS) \
		--skip is_small --skip idle_connections_cost_little --skip bombs_are_stopped --skip hold_bounded_memory

# The unit tests as they are built anyway, and every access of RocksDB's. The test that is skipped has threads that wait for each
# other, which takes for ever where threads take turns.
sanitize: build-tests ## Run the unit tests, RocksDB included, under valgrind: make sanitize [TESTS=storage::]
	@command -v valgrind >/dev/null || { echo 'make sanitize needs valgrind' >&2; exit 1; }
	@PROPTEST_CASES=8 CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='valgrind -q --fair-sched=yes --error-exitcode=99 \
		--suppressions=$(CURDIR)/tools/valgrind.supp' timeout 7200 \
		cargo test $(UNDER_TEST) --lib -- --test-threads=1 --skip readers_never_see $(TESTS)

fmt: ## Format the code
	@cargo fmt

install: build ## Install the server: make install [PREFIX=/usr/local DESTDIR=]
	@install -D -m 755 $(BINARY) '$(DESTDIR)$(PREFIX)/bin/jormundb'

clean: ## Remove what was built for this crate; compiled dependencies stay (remove ~/.cache/jormundb to be rid of them)
	@cargo clean --release --package jormundb
	@rm -rf dist tests/js/node_modules

system:
	@tools/setup.sh system

python: system
	@tools/setup.sh python

node: python
	@tools/setup.sh node
