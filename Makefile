# `make test` tests every part and installs what it needs first; `make help` lists the rest.

FEATURES ?= isal
PREFIX ?= /usr/local
# What the tests build, as in tests/run.py.
SELECTION = --workspace --exclude wingback-isal --features wingback-cli/mount
# Of the C library: `--no-default-features` leaves the network out, `--features isal` makes ISA-L available.
FFI_FEATURES ?=
# What the benches measure: one command, with each of its encoders.
TARGET = $(or $(CARGO_TARGET_DIR),target)
BENCHED = --wingback default=$(TARGET)/release/wingback --wingback "isa-l=$(TARGET)/release/wingback --encoder isa-l"

.PHONY: help new-left-out setup setup-all test test-quick test-all test-docs test-rust test-go static miri install lint bench bench-cold bench-c bench-go bench-s3 bench-s3-day \
	bench-daemon bench-incremental bench-align bench-encoders bench-index bench-tree bench-peer fuzz config-campaign daemon-campaign interrupt-campaign kill-campaign cycles-campaign \
	tar-campaign name-campaign

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

# The file of left-out cases. `.ci/run` uses one file for all its steps.
ifndef WINGBACK_LEFT_OUT
export WINGBACK_LEFT_OUT := $(abspath $(TARGET))/left-out
test test-rust test-go test-all static: | new-left-out
endif

new-left-out:
	@mkdir -p $(TARGET) && : >$(WINGBACK_LEFT_OUT)

setup:
	@tests/setup.sh

setup-all:
	@tests/setup.sh all

test: setup test-docs ## every part of the project against real programs and services
	tests/run.py --go usual

test-quick: ## Rust without servers and the browser, and Go with the command: for each small change
	@tests/setup.sh quick
	tests/run.py --quick --go quick

test-all: setup-all static ## as test, and tests whose tools take long to set up: MinIO, valgrind, cargo-c, CMake, musl, ISA-L
	WINGBACK_TEST_ALL=1 $(MAKE) --no-print-directory test-rust
	WINGBACK_TEST_ALL=1 WINGBACK_S3_SERVER=minio tests/run.py --only s3,s3_threads,programs,daemon,panel
	python3 benches/counters.py --wingback $(TARGET)/debug/wingback
	cargo test -p wingback --features $(FEATURES) --lib --test archive --test encoder --test previous
	WINGBACK_TEST_ALL=1 $(MAKE) --no-print-directory test-go
	WINGBACK_TEST_ALL=1 bindings/go/test.sh $(TARGET)/debug all

test-docs: # the examples in the documents, and that the engine needs no runtime
	cargo test --doc $(SELECTION)
	tests/no-runtime.sh

test-rust: setup test-docs ## the part of test that is in Rust and C
	tests/run.py
	tests/left-out.sh compare

test-go: setup ## the part of test that is in Go
	cargo build --all-targets $(SELECTION)
	bindings/go/test.sh $(TARGET)/debug
	tests/left-out.sh compare

static: setup-all ## the statically linked command, for amd64 and arm64: target/*-musl/release/wingback
	tests/static.sh

miri: ## the C library's unit tests under Miri, if rustup can install it
	tests/miri.sh

install: ## the C library (header, both libraries, files for pkg-config and CMake) and the command, below PREFIX
	cargo build --release -p wingback-ffi $(FFI_FEATURES)
	cargo build --release -p wingback-cli
	ffi/install.sh $(TARGET)/release $(PREFIX)
	cli/install.sh $(TARGET)/release $(PREFIX)

lint: ## format, clippy, docs, public API, dependencies, oldest Rust, hidden test skips
	@tests/setup.sh lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features isal,wingback-cli/mount -- -D warnings
	cargo clippy -p wingback-cli --all-targets -- -D warnings
	cargo clippy -p wingback --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --features wingback/testing
	cargo clippy -p wingback-ffi --no-default-features --all-targets -- -D warnings
	tests/public_api.py check
	tests/layers.py
	tests/left-out.sh check
	tests/deny.sh
	tests/msrv.sh

bench: setup-all bench-tree ## the figures of docs/benchmarks.md (half an hour and more)
	cargo build --release -p wingback-cli --features isal
	python3 benches/run.py --scaling --tree target/bench/tree $(BENCHED)
	python3 benches/way_back.py --memory --tree target/bench/tree $(BENCHED)

bench-cold: setup-all bench-tree ## the backups of a node at night: caches are dropped before each run (needs root)
	cargo build --release -p wingback-cli --features isal
	python3 benches/run.py --cold --no-disk --no-pigz --tree target/bench/tree $(BENCHED)

bench-c: bench-tree ## a backup through C against one by the command; the size of the library
	cargo build --release -p wingback-cli -p wingback-ffi
	cargo build --release -p wingback-ffi --no-default-features --target-dir $(TARGET)/plain
	python3 benches/c.py --wingback $(TARGET)/release/wingback \
		--library $(TARGET)/release --library $(TARGET)/plain/release

bench-go: bench-tree ## Wings' pipeline and ours, in one Go process; needs root to drop caches
	cargo build --release -p wingback-cli
	bindings/go/wingstest/patched.sh
	cd bindings/go/wingstest && export CGO_ENABLED=0 WINGBACK_BIN=$(abspath $(TARGET))/release/wingback \
		WINGBACK_TREE=$(abspath target/bench/tree) && go test -run '^$$' -bench . -benchtime 9x && \
		WINGBACK_MEMORY=1 go test -run '^$$' -bench S3 -benchtime 1x

bench-tree: # the tree of most benches, made once
	@tests/setup.sh benches
	python3 benches/make_tree.py target/bench/tree

bench-peer:
	CGO_ENABLED=0 go build -C benches/peer -o $(abspath target/bench/peer) .

bench-incremental: bench-tree bench-peer ## the second day's backup, with restic and borg
	cargo build --release -p wingback-cli
	for where in --memory ""; do \
		python3 benches/incremental.py $$where --tree target/bench/tree --peer target/bench/peer \
			--wingback $(TARGET)/release/wingback || exit 1; done

bench-align: bench-tree bench-peer ## shared blocks of the archives of several days: XFS, btrfs, restic, borg and rsync
	cargo build --release -p wingback-cli
	python3 benches/align.py --tree target/bench/tree --wingback $(TARGET)/release/wingback
	python3 benches/repositories.py --tree target/bench/tree --peer target/bench/peer \
		--wingback $(TARGET)/release/wingback

bench-index: ## an index of ten million files: time and memory to write, list, read one file, and compare
	cargo build --release -p wingback-cli
	cargo bench --bench index -- $(abspath $(TARGET))/release/wingback

bench-daemon: ## the daemon with two hundred concurrent requests
	cargo build --release -p wingback-server
	python3 benches/daemon.py $(TARGET)/release/wingback-server

bench-s3: setup-all bench-tree ## backups to S3 against the peer, with and without a slow link
	cargo build --release -p wingback-cli --features isal
	cargo build --release --features s3 --bench s3_upload
	python3 benches/s3.py --tree target/bench/tree --plain "$$(ls -t $(TARGET)/release/deps/s3_upload-* | grep -v '\.d$$' | head -n 1)" $(BENCHED)

bench-s3-day: setup-all bench-tree ## how much of the next day's archive is sent to S3
	cargo build --release -p wingback-cli
	python3 benches/s3_day.py --tree target/bench/tree --wingback $(TARGET)/release/wingback

bench-encoders: setup-all bench-tree ## deflate encoders against our own
	tar c -C target/bench/tree logs | head -c 60000000 >target/bench/logs.tar
	cd target/bench/tree && find plugins world/playerdata world/stats world/advancements \
		-type f -size -40k | sort | tar c --no-recursion -T - | head -c 60000000 >../small.tar
	cat target/bench/tree/world/region/*.mca | head -c 60000000 >target/bench/regions.mca
	for backend in miniz_oxide zlib-rs zlib-ng; do \
		cargo run --release --manifest-path benches/encoders/Cargo.toml --features $$backend -- \
			target/bench/logs.tar target/bench/small.tar target/bench/regions.mca || exit 1; done

fuzz: ## every fuzz target, FUZZ_SECONDS (60) each; needs rustup's nightly
	@tests/setup.sh fuzz
	fuzz/run.sh

config-campaign: ## a million values of Wings' configuration, each parsed by the daemon and by Go
	WINGBACK_CASES=1000000 cargo test --release -p wingback-server -- --nocapture config::wings::

daemon-campaign: setup ## the daemon killed at two hundred random times during backups and restores
	WINGBACK_DAEMON_KILLS=200 cargo test -p wingback-server --test daemon -- --nocapture restart::

interrupt-campaign: setup-all ## interrupts of uploads at each request, on two S3 servers
	for server in versitygw minio; do WINGBACK_INTERRUPTS=1 WINGBACK_S3_SERVER=$$server \
		cargo test --workspace --exclude wingback-isal --test s3 -- --nocapture moments:: || exit 1; done

tar-campaign: ## ten thousand random tar archives, each compared with GNU tar's result
	WINGBACK_TAR_CASES=5000 cargo test -p wingback --test tar_sequences -- --nocapture

name-campaign: setup ## ten thousand object names, with every operation of a store
	PROPTEST_CASES=10000 cargo test --features s3 --lib s3::names
	WINGBACK_NAME_CASES=10000 cargo test --features s3 --test s3 -- --nocapture names::

kill-campaign: ## a thousand kills at random times
	WINGBACK_KILLS=1000 cargo test -p wingback-cli --test killed -- --nocapture

cycles-campaign: setup ## each object of the C library created and freed a hundred thousand times
	WINGBACK_CYCLES=100000 cargo test --workspace --exclude wingback-isal --test programs -- --nocapture memory
