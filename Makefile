# The command line of the project; `make` alone explains itself.
# Every target installs what it needs first, and only when the lock file changed.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

# The first suitable Python of this machine. Tried by running it: a version manager
# may put a name on PATH that starts nothing.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	2>/dev/null && echo $$python && break; done)

# A uv that is on the machine, else one fetched into the environment itself.
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)

.PHONY: help
help: ## this list
	@echo "HubSpot as the single source of truth for the app's customers and access."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "ARGS reaches the command: make sync ARGS='--target postgres --json'"

.PHONY: install
install: $(STAMP) ## locked dependencies into .venv; other targets do it when needed

# Compiled here: where Python may not write its cache (containers often forbid it), every
# single start of a sync would compile two thousand modules.
$(STAMP): pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "This project needs Python 3.11, 3.12 or 3.13;" \
		"none is on PATH. Install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing the locked dependencies into $(VENV) (about half a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || { $(BIN)/python -m pip --version >/dev/null 2>&1 || \
		$(BIN)/python -m ensurepip >/dev/null 2>&1; $(BIN)/python -m pip install -q uv; }
	@VIRTUAL_ENV= UV_PROJECT_ENVIRONMENT=$(VENV) $(UV) sync --locked --quiet --compile-bytecode
	@touch $@

.PHONY: demo
demo: $(STAMP) ## a HubSpot of our own, two syncs, and who gained or lost access and why
	@$(BIN)/python -m sandbox.demo $(ARGS)

# The report is tested in a browser: the one that CHROMIUM names, of the system, or one
# that Playwright fetches. Quick where there is one.
.PHONY: browser
browser: $(STAMP) ## a Chromium for the tests of the report, where the machine has none
	@$(BIN)/python -m tests.report.browser || { \
		test "$$(id -u)" = 0 && command -v apt-get >/dev/null && \
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends chromium >/dev/null; }; } || \
		$(BIN)/playwright install --with-deps chromium || \
		$(BIN)/playwright install chromium

.PHONY: test
test: $(STAMP) browser ## the whole suite, on DuckDB and on a real PostgreSQL
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-deep
test-deep: $(STAMP) ## many random lives of a portal, a night of twelve hours, both engines
	@HUBSYNC_TEST_ENGINES=both \
		HUBSYNC_TEST_EXAMPLES=$${HUBSYNC_TEST_EXAMPLES:-50} \
		HUBSYNC_TEST_HOURS=$${HUBSYNC_TEST_HOURS:-12} $(BIN)/python -m pytest \
		--timeout 0 tests/extract/test_stateful.py \
		tests/transform tests/run/test_models.py tests/run/test_night.py $(ARGS)

.PHONY: test-gates
test-gates: $(STAMP) ## break the data of every data test: nothing published, exit 4
	@HUBSYNC_TEST_GATES=all $(BIN)/python -m pytest -q tests/transform/test_every_test.py $(ARGS)

.PHONY: bench
bench: $(STAMP) ## speed and memory as ratios, into docs/performance.md (ARGS="scale …")
	@$(BIN)/python -m bench $(ARGS)

.PHONY: sync
sync: $(STAMP) ## load HubSpot, transform, test, publish: what a scheduler calls
	@$(BIN)/hubsync sync $(ARGS)

.PHONY: plan
plan: $(STAMP) ## what the next sync would change in access, and why; publishes nothing
	@$(BIN)/hubsync plan $(ARGS)

.PHONY: status
status: $(STAMP) ## freshness, last runs, findings
	@$(BIN)/hubsync status $(ARGS)

.PHONY: report
report: $(STAMP) ## the page for the operations team; every sync writes it too
	@$(BIN)/hubsync report $(ARGS)

.PHONY: reconcile
reconcile: $(STAMP) ## HubSpot against raw and app, record by record (ARGS=--repair mends)
	@$(BIN)/hubsync reconcile $(ARGS)

.PHONY: check
check: $(STAMP) ## the configuration against your HubSpot and your database
	@$(BIN)/hubsync check $(ARGS)

.PHONY: portal
portal: $(STAMP) ## a local HubSpot with example data, for development
	@$(BIN)/hubsync portal $(ARGS)

# With the columns' types where there is a database; dbt would create a missing one.
DOCS_DUCKDB := $(wildcard $(abspath $(or $(HUBSYNC_DUCKDB),hubsync.duckdb)))
DBT_DOCS = --project-dir dbt_project --profiles-dir . --target-path "$(CURDIR)/target/docs" \
	--log-path "$(CURDIR)/target/docs" --log-level-file none

.PHONY: docs
docs: export HUBSYNC_DUCKDB := $(or $(DOCS_DUCKDB),:memory:)
docs: $(STAMP) ## models, columns, tests and lineage as one page to open: target/docs
	@$(BIN)/dbt --quiet parse $(DBT_DOCS)
	@$(BIN)/dbt --quiet docs generate --no-compile --static $(DBT_DOCS)
	@mv target/docs/static_index.html target/docs/index.html
	@echo "target/docs/index.html"

SQL := dbt_project/models dbt_project/tests pipelines/report/sql

.PHONY: lint
lint: $(STAMP) ## ruff, mypy --strict, and sqlfluff in both SQL dialects
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict pipelines sandbox deploy/dagster
	@$(BIN)/sqlfluff lint --dialect postgres $(SQL)
	@$(BIN)/sqlfluff lint --dialect duckdb $(SQL)

.PHONY: format
format: $(STAMP) ## the mechanical half of lint
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: clean
clean: ## removes what tools made; keeps .venv and every database but the demo's
	@rm -rf target logs .demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
