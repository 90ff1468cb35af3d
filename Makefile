# `make run` serves, `make test` tests, `make help` lists all targets. Each target first installs what it needs.

VENV := .venv
# VENV plus torch with CUDA (several GB).
GPU_VENV := .venv-gpu
# Tests and training need torch; the serving environment stays free of it.
TEST_VENV := .venv-test
PYTHON ?= $(shell for p in python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# glibc returns freed blocks of 1 MB or more to the system; otherwise the copies of a long document stay resident.
MALLOC := MALLOC_MMAP_THRESHOLD_=1048576 MALLOC_TRIM_THRESHOLD_=8388608
NORMAL := not slow and not llm and not gpu
# Number of test processes: one per core, at most four, since each takes about 2 GB.
WORKERS ?= auto
# Tests to run, such as TESTS="tests/api -k sqlite"; empty runs all. With it, `make test` runs system tests, too.
TESTS ?=
QUICK := $(if $(TESTS),,not system and )$(NORMAL)

pytest = OMP_NUM_THREADS=1 $(TEST_VENV)/bin/python -m pytest -m "$(1)" \
	-n $(WORKERS) --maxprocesses 4 --dist worksteal --durations=15 --durations-min=5 $(TESTS)

# Configuration of `make retrain`, and the sentences on which its gate compares the new model with the old. RISKSCAN_DATA=DIR
# names a folder of real sentences; without it, training uses composed sentences only.
CONFIG ?= ml/configs/retrain.toml
EVAL_DATA ?= ml/data/golden.jsonl ml/data/calibration.jsonl

# Folder of the base of the accurate model, all-mpnet-base-v2; empty downloads it into var/bases.
BASE ?=

# Environments for benchmarks only: one for the load generator, and one for each peer.
BENCH_ENV := var/bench/env
PEERS := $(foreach peer,plain litserve bentoml infinity,$(BENCH_ENV)/peers/$(peer)/.installed)
BENCH_NEEDS := $(VENV)/.installed $(TEST_VENV)/.installed $(BENCH_ENV)/load/.installed
# Options of the benchmarks, such as BENCH="engine --rounds 3"; each module's --help lists them.
BENCH ?=

# Options of `make hostile` and `make faults`; each module's --help lists them.
HOSTILE ?=
FAULTS ?=

.DEFAULT_GOAL := help
.PHONY: help run run-gpu accurate retrain test test-system coverage test-slow test-llm hostile faults bench bench-peers bench-processes bench-gpu lint format docs openapi sbom notebooks clean python

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.installed ## Serve on HOST:PORT; settings from the environment and .env
	@$(MALLOC) exec $(VENV)/bin/python -m service

run-gpu: $(GPU_VENV)/.installed ## Run the service on an NVIDIA GPU (DEVICE=cuda); needs driver 580 or newer
	@$(MALLOC) DEVICE=$${DEVICE:-cuda} exec $(GPU_VENV)/bin/python -m service

accurate: $(VENV)/.builds-models ## Build the accurate model (MODEL=accurate); downloads 400 MB, or takes its base from BASE=DIR
	$(VENV)/bin/python -m ml build-artifact $(if $(BASE),--base "$(BASE)")

test: $(TEST_VENV)/.installed ## Run the normal test suite, in WORKERS=auto processes; names the 15 longest tests
	$(call pytest,$(QUICK))

test-system: $(TEST_VENV)/.installed ## Run the tests that start whole processes or a browser, or read large files
	$(call pytest,system and $(NORMAL))

coverage: $(TEST_VENV)/.installed ## Measure service/domain by tests/domain; fails below 95 % of lines and branches
	OMP_NUM_THREADS=1 $(TEST_VENV)/bin/python -m pytest -m "$(NORMAL)" tests/domain \
		--cov=service/domain --cov-fail-under=95

retrain: $(TEST_VENV)/.installed ## Export feedback, train on it (CONFIG=...), register the model if it passes the gate
	mkdir -p var
	$(TEST_VENV)/bin/python -m service feedback export --out var/feedback.jsonl
	for step in dataset train export calibrate evaluate; do \
		echo "== $$step"; $(TEST_VENV)/bin/python -m ml $$step $(CONFIG) || exit 1; done
	$(TEST_VENV)/bin/python -m ml register $(CONFIG) --data $(EVAL_DATA)

test-slow: $(TEST_VENV)/.installed $(BENCH_ENV)/load/.installed ## Run the tests that take minutes
	$(TEST_VENV)/bin/python -m pytest -m "slow and not llm and not gpu"

test-llm: $(TEST_VENV)/.installed ## Run the tests against a real LLM at LLM_TEST_BASE_URL
	$(TEST_VENV)/bin/python -m pytest -m llm

hostile: $(TEST_VENV)/.installed ## Attack a service with 10,000 hostile requests (HOSTILE="--seed 1 --database mysql")
	$(TEST_VENV)/bin/python -m tests.e2e.hostile $(HOSTILE)

faults: $(TEST_VENV)/.installed ## Break the database, Redis, disk and LLM under a service (FAULTS="--only redis")
	$(TEST_VENV)/bin/python -m tests.e2e.faults $(FAULTS)

bench: $(BENCH_NEEDS) ## Measure the service (BENCH=...), results in var/bench
	$(TEST_VENV)/bin/python -m tests.bench $(BENCH)

bench-peers: $(BENCH_NEEDS) $(PEERS) ## Compare it with other servers of the same model
	$(TEST_VENV)/bin/python -m tests.bench.peers $(BENCH)

bench-processes: $(BENCH_NEEDS) $(BENCH_ENV)/peers/litserve/.installed ## Compare WEB_PROCESSES with LitServe's workers
	$(TEST_VENV)/bin/python -m tests.bench.peers.processes $(BENCH)

bench-gpu: | python ## Measure the analyzer on CUDA, if there is a GPU
	@! $(PYTHON) -m tests.bench.cuda || $(MAKE) --no-print-directory $(BENCH_ENV)/gpu/measured

.PHONY: $(BENCH_ENV)/gpu/measured
$(BENCH_ENV)/gpu/measured: $(BENCH_ENV)/gpu/.installed
	$(BENCH_ENV)/gpu/bin/python -m tests.bench.gpu $(BENCH)

lint: $(TEST_VENV)/.installed ## Check style, format, types, imports, Dockerfiles and workflows
	$(TEST_VENV)/bin/ruff check .
	$(TEST_VENV)/bin/ruff format --check .
	$(TEST_VENV)/bin/mypy
	$(TEST_VENV)/bin/lint-imports
	$(TEST_VENV)/bin/hadolint Dockerfile.cpu Dockerfile.gpu
	$(TEST_VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TEST_VENV)/bin/zizmor --offline --quiet .github/workflows

format: $(TEST_VENV)/.installed ## Format the source
	$(TEST_VENV)/bin/ruff format .

docs: $(TEST_VENV)/.installed ## Write docs/settings.md, docs/errors.md, docs/roles.md and .env.example from the code
	$(TEST_VENV)/bin/python -m service.cli.documentation

openapi: $(TEST_VENV)/.installed ## Accept a changed API: write its contract to tests/api/openapi.json
	RISKSCAN_WRITE_OPENAPI=1 $(TEST_VENV)/bin/python -m pytest tests/api/test_openapi_snapshot.py

sbom: $(VENV)/.installed $(TEST_VENV)/.installed ## Write the service's packages with versions and licences to var/sbom.cdx.json (CycloneDX)
	mkdir -p var
	$(TEST_VENV)/bin/cyclonedx-py environment $(VENV) --pyproject pyproject.toml --output-reproducible \
		--output-file var/sbom.cdx.json

notebooks: $(TEST_VENV)/.installed ## Write each notebook as .ipynb beside its .py file
	$(TEST_VENV)/bin/jupytext --quiet --to ipynb --set-kernel python3 notebooks/[0-9]*.py

clean: ## Remove environments and caches; stored data stays
	rm -rf $(VENV) $(GPU_VENV) $(TEST_VENV) $(BENCH_ENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: requirements.txt constraints.txt | python
	@echo "Installing requirements.txt into $(VENV); this takes a minute or two."
	test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

$(VENV)/.builds-models: requirements-build.txt constraints.txt $(VENV)/.installed
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-build.txt -c constraints.txt
	@touch $@

$(GPU_VENV)/.installed: requirements.txt requirements-gpu.txt constraints.txt | python
	@echo "Installing requirements-gpu.txt into $(GPU_VENV); this takes minutes and several GB."
	test -x $(GPU_VENV)/bin/pip || $(PYTHON) -m venv $(GPU_VENV)
	$(GPU_VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-gpu.txt -c constraints.txt
	@touch $@

$(TEST_VENV)/.installed: $(wildcard requirements*.txt) constraints.txt | python
	@echo "Installing the requirements of tests and training into $(TEST_VENV); this takes minutes."
	test -x $(TEST_VENV)/bin/pip || $(PYTHON) -m venv $(TEST_VENV)
	$(TEST_VENV)/bin/pip install --quiet --disable-pip-version-check \
		-r requirements-ml.txt -r requirements-test.txt -c constraints.txt
	$(TEST_VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements-encoder.txt
	@touch $@

$(BENCH_ENV)/gpu/.installed: tests/bench/gpu.txt $(wildcard requirements*.txt) constraints.txt | python
	@echo "Installing tests/bench/gpu.txt into $(@D); this takes minutes, and several GB if there is a GPU."
	test -x $(@D)/bin/pip || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $< -c constraints.txt
	@touch $@

# Each file pins all its packages; constraints.txt would change the versions that a peer chooses.
$(BENCH_ENV)/%/.installed: tests/bench/%.txt | python
	@echo "Installing $< into $(@D); this takes minutes."
	test -x $(@D)/bin/pip || $(PYTHON) -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "Python 3.11 or newer is needed: install python3.11, or name one with PYTHON=..."; exit 1; }
