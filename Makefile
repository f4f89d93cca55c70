# `make test` runs every test and installs what it needs first; `make help` lists the rest.

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/wingback
FEATURES ?= isal

.PHONY: help setup test lint bench fuzz kill-campaign

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

setup:
	@tests/setup.sh

test: setup ## every test, with the default encoder and with ISA-L
	cargo test --workspace --all-targets --exclude wingback-isal
	cargo test --workspace --doc
	cargo test -p wingback --features $(FEATURES) --lib --test archive
	tests/no-runtime.sh

lint: ## format, clippy, docs, dependencies, oldest Rust
	@tests/setup.sh lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features isal -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps
	tests/deny.sh
	tests/msrv.sh

bench: setup ## the figures of docs/benchmarks.md (about a quarter of an hour)
	cargo build --release -p wingback-cli
	cargo build --release -p wingback-cli --features isal --target-dir target/isal
	python3 benches/run.py --scaling --tree target/bench/tree \
		--wingback default=target/release/wingback --wingback isal=target/isal/release/wingback

kill-campaign: ## a thousand kills at random moments
	WINGBACK_KILLS=1000 cargo test -p wingback-cli --test killed -- --nocapture
