# Each target does its own set-up: on a fresh machine `make demo` or `make test` is the first command.
SHELL := /usr/bin/env bash
.DEFAULT_GOAL := help
# ONCE=1 ends the demo by itself; SOAK=3600 makes the bench's soak an hour; FUZZ_SECONDS is per target.
ONCE ?=
SOAK ?=
FUZZ_SECONDS ?= 60
TARGETS ?=

.PHONY: help setup demo test check fmt interop bench fuzz

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## install what the others need, or print the line that does
	@scripts/setup.sh test

demo: ## a whole federation on this machine (ONCE=1: end by itself, exit non-zero on any difference)
	@scripts/setup.sh build
	@scripts/demo.sh $(if $(ONCE),--once,)

test: ## every check and every test
	@scripts/setup.sh test
	@scripts/test.sh

check: ## formatting, lints, documentation, licences, advisories, tidiness: no tests
	@scripts/setup.sh test
	@scripts/test.sh check

fmt: ## format the code
	@cargo fmt --all

interop: ## the black-box conformance suite against our own node
	@scripts/setup.sh build
	@scripts/interop.sh

bench: ## JSON lines and ratios against this machine's limits (SOAK=3600 for the hour)
	@scripts/setup.sh build
	@SOAK="$(SOAK)" scripts/bench.sh

fuzz: ## libFuzzer on every target (FUZZ_SECONDS=60 each, TARGETS="frame signed" for some)
	@scripts/setup.sh fuzz
	@FUZZ_SECONDS="$(FUZZ_SECONDS)" scripts/fuzz.sh $(TARGETS)
