# Every target does its own set-up: see scripts/bootstrap.
.DEFAULT_GOAL := help
.PHONY: help demo test check format coverage bench bench-body chaos docs lock clean

# Five at a time on 2 cores: many tests wait for processes most of their time. A file stays in one
# process, and slow files start first (tests/conftest.py).
JOBS ?= 5
PYTEST := .venv/bin/python -m pytest
SPREAD := -n $(JOBS) --dist loadfile --no-loadscope-reorder

# Tests start hundreds of processes; without bytecode files each one compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

help: ## This list.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18

demo: ## Watch one try-on go through the whole path, on this machine.
	@scripts/bootstrap run
	@.venv/bin/wearon demo

.PHONY: trial
trial: ## A newcomer's first hour in a clean folder, timed; PEOPLE='a.jpg' GARMENTS='b.jpg c.jpg' FOLDER=.
	@scripts/bootstrap run
	@.venv/bin/python -m scripts.first_hour $(if $(FOLDER),--folder $(FOLDER)) \
	  $(if $(PEOPLE),--people $(PEOPLE)) $(if $(GARMENTS),--garments $(GARMENTS))

test: ## Everything: lint, types, all tests, with real servers.
	@scripts/bootstrap tests
	@$(MAKE) --no-print-directory lint
	$(PYTEST) $(SPREAD)

check: ## What to run before a commit: lint, types, fast tests. Under 90 s.
	@scripts/bootstrap dev
	@$(MAKE) --no-print-directory lint
	$(PYTEST) $(SPREAD) -m "not slow"

.PHONY: test-under-load
test-under-load: ## Tests next to two busy loops; SELECT='tests/unit -x' for some of them.
	@scripts/bootstrap tests
	.venv/bin/python scripts/under_load.py $(SPREAD) $(SELECT)

.PHONY: lint
lint:
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy

format: ## Fix what ruff can fix.
	@scripts/bootstrap dev
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

coverage: ## How much of the code the tests run, and which lines they do not; see docs/coverage.md.
	@scripts/bootstrap tests
	$(PYTEST) $(SPREAD) $(SELECT) --cov --cov-report=
	.venv/bin/coverage report

bench: ## Every benchmark, with its table.
	@scripts/bootstrap tests
	@for each in $(filter-out benchmarks/bench_body.py,$(wildcard benchmarks/bench_*.py)); do \
	  echo "== $$each"; .venv/bin/python $$each || missed="$$missed $$each"; done; \
	  [ -z "$$missed" ] || { echo "failed, or missed a target:$$missed"; exit 1; }

bench-body: ## How well bodies are measured (WEARON_BODIES and WEARON_ANSUR name the data).
	@scripts/bootstrap run
	@.venv/bin/python benchmarks/bench_body.py

chaos: ## 200 jobs under kill -9, outages and faults; PROVIDER=responses or runware, SEED=n.
	@scripts/bootstrap tests
	.venv/bin/python -m devkit.chaos $(if $(PROVIDER),--provider $(PROVIDER)) $(if $(SEED),--seed $(SEED))

docs: ## The documentation as a site, in ./site.
	@scripts/bootstrap dev
	.venv/bin/zensical build --strict

.PHONY: reference
reference: ## Rewrite the generated pages of the documentation.
	@scripts/bootstrap dev
	@for each in command_pages configuration events job_life metrics_page redis_keys; do .venv/bin/python -m scripts.$$each || exit 1; done

lock: ## Rewrite the lock files from pyproject.toml.
	@scripts/lock

clean: ## Remove what the other targets made (the pose model's cache stays).
	rm -rf .venv .cache .coverage* site .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
