# `make help` lists what there is. Needs Rust by rustup; everything else is installed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
WEB := services/gateway/web

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## Install what building, running and testing need (apt, Kafka's jars)
	@scripts/install-deps
	@scripts/kafka-jars

.PHONY: run
run: ## Build and start everything on this machine, with a demo stream (ARGS=--help for flags)
	@exec scripts/run $(ARGS)

.PHONY: web
web: ## Build the web app
	@scripts/install-deps
	@scripts/web

.PHONY: build
build: web ## Build all programs
	cargo build --workspace --bins

.PHONY: test
test: deps web ## Run all tests: unit, property, model, Kafka, browser
	cargo build --workspace --bins
	cargo test --workspace
	cd $(WEB) && npm test
	cd $(WEB) && REELAY_LOCAL=$(CURDIR)/target/debug/reelay-local npm run test:browser

.PHONY: soak
soak: deps web ## Run the long tests (those that take more than a minute)
	cargo build --workspace --bins
	cargo test --workspace -- --ignored --test-threads=1
	cd $(WEB) && STRICT_PLAYBACK=1 REELAY_LOCAL=$(CURDIR)/target/debug/reelay-local npm run test:browser

.PHONY: bench
bench: web ## Measure, beside the peers, and print the table of docs/benchmarks.md
	@scripts/install-deps --bench
	@scripts/kafka-jars
	@scripts/bench

.PHONY: lint
lint: web ## Check formatting, lints, dependency rules, licences and sources
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cd $(WEB) && npm run check
	@scripts/cargo-tool cargo-deny 0.20.2
	cargo deny --log-level error check bans licenses sources

.PHONY: fmt
fmt: ## Format all code
	cargo fmt --all
	cd $(WEB) && npm run format

.PHONY: fuzz
fuzz: ## Fuzz every decoder (FUZZ_SECONDS=60 for each)
	@scripts/install-deps
	@scripts/fuzz $(or $(FUZZ_SECONDS),10)

.PHONY: schemas
schemas: web ## Write the generated documents anew (JSON Schemas, OpenAPI, configuration)
	UPDATE_SCHEMAS=1 cargo test -p reelay-model are_not_stale
	REELAY_WRITE_DOCS=1 cargo test -p reelay-gateway --lib the_copy_in_docs
	cargo build --workspace --bins
	REELAY_WRITE_DOCS=1 cargo test -p reelay-testkit --test it the_configuration_page

.PHONY: clean
clean: ## Remove what was built, and the local Kafka's data
	cargo clean
	rm -rf .run $(WEB)/dist $(WEB)/node_modules
