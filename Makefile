# Few and honest: each target installs what it needs from Debian/Ubuntu packages, or names it.
# PROFILE=dev at the desk (fast to build), ci where speed counts.
PROFILE ?= ci
CARGO   ?= cargo
SEEDS   ?= 1000
SECONDS ?= 60
FLAGS   := --profile $(PROFILE) --locked
OUT     := $(or $(CARGO_TARGET_DIR),target)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
# All programs at once: a selection of packages would build their dependencies again with other features.
BUILD   := $(CARGO) build $(FLAGS) --workspace --bins

.PHONY: help demo cluster-demo test lint bench sim fuzz deps cluster-tools

help:            ## What there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

deps:            ## Real servers for tests and demo, from the distribution
	@./tests/install-servers

cluster-tools:   ## kube-apiserver, etcd and kubectl for tests: built once (minutes), kept in ~/.cache/warren
	@./tests/cluster/build-tools

demo: deps       ## Two sites, real Prosody and ejabberd, a cut, a kill: watch it (STAY=1: stay up and join)
	$(BUILD)
	@$(OUT)/warren-demo $(if $(STAY),--stay)

cluster-demo: deps cluster-tools ## From kubectl apply to a room that outlives its pod: API server, operator, three nodes, kills
	$(BUILD)
	@$(OUT)/warren-demo --cluster

test: deps cluster-tools ## All tests
	$(BUILD)
	$(CARGO) test $(FLAGS) --workspace

lint:            ## rustfmt, clippy, licences, bans, duplicate crates
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) run --quiet --locked -p warren-deps

bench:           ## Bounds on speed, as ratios within one run
	$(BUILD)
	$(OUT)/warren-bench

sim:             ## The simulator over SEEDS seeds
	$(BUILD)
	$(OUT)/warren-sim --seeds $(SEEDS)

fuzz:            ## The codec, and frames between nodes, under cargo-fuzz for SECONDS each (needs cargo-fuzz and a C++ compiler)
	@command -v cargo-fuzz >/dev/null || { echo "error: cargo-fuzz is missing: cargo install cargo-fuzz --locked" >&2; exit 1; }
	for target in codec wire; do \
	  RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir tests/fuzz $$target -s none -- -max_total_time=$(SECONDS) -rss_limit_mb=1024 -timeout=10 || exit 1; \
	done
