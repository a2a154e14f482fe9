# capstan.fullstack: from nothing to a running environment on this machine, and its tests.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Control groups, network namespaces and mounts need root; whoever is not root gives sudo's password once.
ROOT := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env)
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
WITH_SANDBOX = eval "$$($(ROOT) $(BIN)/python -m sandbox env)" &&

# Hundreds of processes would compile the same files again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help up down env status test test-lifecycle torture lint bench

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

up: ## start the sandbox, build the images, converge the environment
	@sandbox/bootstrap.sh
	@$(ROOT) $(BIN)/python -m sandbox up --with-applications
	@$(ROOT) $(BIN)/python -m sandbox.images
	@$(WITH_SANDBOX) $(ROOT) $(BIN)/ansible-playbook -i inventories/sandbox playbooks/site.yml

down: ## take the sandbox away; compiled parts and images stay in the cache
	@if [ -x $(BIN)/python ]; then $(ROOT) $(BIN)/python -m sandbox down; else echo 'There is no environment here: nothing was started.'; fi

env: ## print the variables that point AWS and Kubernetes clients at the sandbox
	@$(ROOT) $(BIN)/python -m sandbox env

status: ## whose sandbox runs, and whether it serves
	@$(ROOT) $(BIN)/python -m sandbox status

test: ## every test but the full kill sweep and the sandbox's own life cycle
	@sandbox/bootstrap.sh --tests
	@$(ROOT) $(BIN)/python -m sandbox up --with-applications
	@$(ROOT) $(BIN)/python -m sandbox.images
	@$(ROOT) tests/run.sh

test-lifecycle: ## start, kill and remove the sandbox itself; only while none runs
	@sandbox/bootstrap.sh --tests
	@$(ROOT) $(BIN)/python -m pytest -m sandbox_lifecycle tests/integration/sandbox

torture: ## kill the playbook at every API call, before and after (hours); PART=1/4 for a part of it, FROM=100 to go on
	@sandbox/bootstrap.sh --tests
	@$(ROOT) $(BIN)/python -m sandbox up --with-applications
	@CAPSTAN_TORTURE=$(or $(PART),1/1) CAPSTAN_TORTURE_FROM=$(or $(FROM),1) $(ROOT) $(BIN)/python -m pytest -s tests/torture

lint: ## style, types, playbooks, the page; ansible-test's sanity checks
	@sandbox/bootstrap.sh --tests
	@tests/lint.sh
	@app/frontend/node.sh ci --ignore-scripts --no-audit --no-fund > /dev/null
	@app/frontend/node.sh run check
	@ansible-lint
	@tests/sanity.sh

bench: ## times of a run that has nothing to do, as ratios (needs `make up`); the service beside its peers
	@sandbox/bootstrap.sh --tests
	@$(WITH_SANDBOX) $(ROOT) $(BIN)/python -m tests.bench
	@$(ROOT) $(BIN)/python -m tests.bench.service --connections 10000 --soak 10
