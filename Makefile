# Two commands for a fresh machine with Python and make: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
AIRFLOW ?=
AIRFLOW_VENV ?= $(VENV)-airflow$(addprefix -,$(AIRFLOW))
BIGQUERY_VENV ?= $(VENV)-bigquery
DATABRICKS_VENV ?= $(VENV)-databricks
DBT_VENV ?= $(VENV)-dbt
NIGHTLY_ARGS ?= --minutes 10
BENCH_ARGS ?=
PYTEST_ARGS ?= -q -n auto --maxprocesses 4 --dist worksteal

MAKEFLAGS += --no-print-directory
RUN := $(VENV)/bin/python
# Wheels only: no compiler is needed. The project itself is built by hatchling, which is pinned like all the rest.
QUIETLY := PIP_ONLY_BINARY=:all: PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
PIP := $(QUIETLY) $(RUN) -m pip install -qq -c constraints.txt
# Airflow brings more than a hundred distributions, so it gets a virtual environment of its own.
RUN_AIRFLOW := PYTHONPATH=tests:. $(AIRFLOW_VENV)/bin/python
PIP_AIRFLOW := $(QUIETLY) $(AIRFLOW_VENV)/bin/python -m pip install -qq -c constraints.txt -c constraints-airflow.txt

# So does Google's client, with the engine that answers it.
PIP_BIGQUERY := $(QUIETLY) $(BIGQUERY_VENV)/bin/python -m pip install -qq -c constraints.txt -c constraints-bigquery.txt

# So does Spark.
PIP_DATABRICKS := $(QUIETLY) $(DATABRICKS_VENV)/bin/python -m pip install -qq -c constraints.txt -c constraints-databricks.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo check test test-here lint-aside test-airflow test-airflow-aside test-bigquery test-bigquery-aside browser pooler screenshots screenshots-airflow docs statements test-live growth nightly nightly-airflow nightly-warehouses nightly-dbt nightly-resolve bench lint lint-style lint-types check-tests audit bandit clean

help:
	@echo "make demo    install into $(VENV) and sync a sample warehouse to a local Rehook sandbox"
	@echo "make check   linters, type checker and the tests without processes, servers or sleeps: the inner loop, under a minute"
	@echo "make test    install the test tools and run linters, type checker and all tests"
	@echo "make test-live WAREHOUSE=url"
	@echo "             sync awkward sources in a warehouse of your own, each in a schema that is dropped again, and say what that cost"
	@echo "             (LIVE_ARGS: --options JSON, --sources NAMES)"
	@echo "make statements  write what is asked of each warehouse into tests/kept_statements"
	@echo "make docs    write the results of its queries into docs/analysts.md"
	@echo "make growth  measure how much room the sync-state tables take, before and after pruning (minutes; GROWTH_ARGS: --calls N)"
	@echo "make browser, make pooler"
	@echo "             install Debian's Chromium and pgbouncer for the tests that need them, where apt-get and root are there; make test does it"
	@echo "make screenshots  keep the screenshots of the report as they are now; make screenshots-airflow: those of Airflow's pages"
	@echo "make nightly kill runs and break what they need for NIGHTLY_ARGS (--minutes 10), and print what became of the promise"
	@echo "make test-airflow, make nightly-airflow"
	@echo "             the part of the tests that needs Airflow; with LocalExecutor and two Celery workers, for their figures"
	@echo "             make test-airflow AIRFLOW=3.1 (or 3.2, or snowflake and other providers): with the versions of its file in constraints/"
	@echo "make nightly-dbt"
	@echo "             compile the dbt package for every adapter, with dbt 1 and 2, and build it on the beds of Snowflake and Redshift (minutes)"
	@echo "make test-bigquery"
	@echo "             the part of the tests that needs Google's client, on a BigQuery of our own"
	@echo "make nightly-resolve"
	@echo "             ask pip whether our wheel and the newest version of each provider of Airflow fit together,"
	@echo "             and whether it chooses what stands in each file of constraints/ (needs a network)"
	@echo "make nightly-warehouses"
	@echo "             the part that needs Databricks' connector, on Spark; wants a JDK 17, takes 20 minutes"
	@echo "make bench   measure it beside the limit of this machine and other tools; BENCH_ARGS=--quick takes two minutes"
	@echo "make lint    linters and type checker only"
	@echo "make audit   look the pinned versions up in a public list of vulnerabilities (needs a network)"
	@echo "make bandit  look for insecure habits in the code"
	@echo "make clean   remove $(VENV), caches and builds"

demo: $(VENV)/.installed
	@$(RUN) -m rehook_sync demo

# The three do not wait for each other; what one of them says is printed in one piece.
check: $(VENV)/.installed-test
	@$(MAKE) -j3 -O lint-style lint-types check-tests

check-tests:
	@$(RUN) -m pytest -q -n 2 tests/unit tests/house --ignore tests/house/test_distribution.py --ignore tests/house/test_dictionary.py

# They do not wait for each other. Linters that complain say so at once; what the other environments say is printed in one piece, in the end.
test: $(VENV)/.created
	@rm -f $(VENV)/airflow.log $(VENV)/bigquery.log
	@$(MAKE) -j4 test-here test-airflow-aside test-bigquery-aside lint-aside; code=$$?; cat $(VENV)/airflow.log $(VENV)/bigquery.log; exit $$code

test-here: $(VENV)/.installed-test $(VENV)/.installed-dbt $(VENV)/.installed-fakesnow browser pooler
	@$(RUN) -m pytest $(PYTEST_ARGS)

lint-aside: $(VENV)/.installed-test
	@$(MAKE) lint > $(VENV)/lint.log 2>&1 || { cat $(VENV)/lint.log; exit 1; }

test-airflow-aside: $(VENV)/.created
	@$(MAKE) test-airflow > $(VENV)/airflow.log 2>&1

# Airflow and its providers warn of each other; what they warn of is not ours to mend.
test-airflow: $(AIRFLOW_VENV)/.installed
	@$(RUN_AIRFLOW) -m pytest -q -W ignore -p no:cacheprovider --timeout-method=thread tests/airflow

# One after the other: each starts many processes, and more of them at once than cores would only wait for each other.
test-bigquery-aside: test-airflow-aside
	@$(MAKE) test-bigquery > $(VENV)/bigquery.log 2>&1

test-bigquery: $(BIGQUERY_VENV)/.installed
	@$(BIGQUERY_VENV)/bin/python -m pytest -q -p no:cacheprovider tests/bigquery

nightly-airflow: $(AIRFLOW_VENV)/.installed
	@$(RUN_AIRFLOW) tests/nightly/airflow_runs.py

# Spark takes half a second for each statement.
nightly-warehouses: $(DATABRICKS_VENV)/.installed
	@$(DATABRICKS_VENV)/bin/python -m pytest -q -p no:cacheprovider tests/databricks_sql

nightly-resolve: $(VENV)/.installed-test
	@$(RUN) tests/nightly/resolve.py

nightly-dbt: $(VENV)/.installed-test $(VENV)/.installed-fakesnow $(BIGQUERY_VENV)/.installed $(DBT_VENV)/.installed-adapters $(DBT_VENV)/.installed-databricks $(DBT_VENV)/.installed-2
	@DBT_VENV=$(DBT_VENV) $(RUN) -m pytest -q tests/acceptance/test_dbt_adapters.py
	@DBT_VENV=$(DBT_VENV) $(BIGQUERY_VENV)/bin/python -m pytest -q -p no:cacheprovider tests/bigquery/test_bigquery_dbt.py

docs: $(VENV)/.installed-test
	@PYTHONPATH=tests:. $(RUN) tests/analysts.py

# The clients of some warehouses have environments of their own.
LIVE_VENV := $(if $(filter bigquery:%,$(WAREHOUSE)),$(BIGQUERY_VENV),$(if $(filter databricks:%,$(WAREHOUSE)),$(DATABRICKS_VENV),$(VENV)))

test-live: $(if $(filter $(VENV),$(LIVE_VENV)),$(VENV)/.installed-test,$(LIVE_VENV)/.installed)
	@test -n "$(WAREHOUSE)" || { echo "which one? make test-live WAREHOUSE=postgresql://user:password@host/name"; exit 2; }
	@PYTHONPATH=tests:. $(LIVE_VENV)/bin/python tests/live.py '$(WAREHOUSE)' $(LIVE_ARGS)

statements: $(VENV)/.installed-test $(VENV)/.installed-fakesnow $(BIGQUERY_VENV)/.installed
	@WRITE_STATEMENTS=1 $(RUN) -m pytest -q tests/contract/test_statements.py
	@WRITE_STATEMENTS=1 $(BIGQUERY_VENV)/bin/python -m pytest -q -p no:cacheprovider tests/bigquery/test_bigquery_statements.py
	@test -e $(DATABRICKS_VENV)/.installed || echo "left out: Databricks, which wants what make nightly-warehouses installs"
	@test ! -e $(DATABRICKS_VENV)/.installed || WRITE_STATEMENTS=1 $(DATABRICKS_VENV)/bin/python -m pytest -q -p no:cacheprovider \
		tests/databricks_sql/test_databricks_statements.py

growth: $(VENV)/.installed-test
	@PYTHONPATH=tests:. $(RUN) tests/growth.py $(GROWTH_ARGS)

# Without them the tests that need a browser or a pooler are skipped and say so.
browser: $(VENV)/.created
	@for each in chromium chromium-browser google-chrome; do command -v $$each >/dev/null && exit 0; done; $(call install,chromium)

pooler: browser  # apt-get does one thing at a time
	@command -v pgbouncer >/dev/null && exit 0; $(call install,pgbouncer)

# Debian would also start a server that it installs; the tests start their own.
install = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	echo "installing $(1) for its tests ..."; \
	{ apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1); } \
		> $(VENV)/$(1).log 2>&1 || echo "$(1) could not be installed (see $(VENV)/$(1).log)"; \
	else echo "there is no $(1) here; tests that need it will be skipped"; fi

screenshots: $(VENV)/.installed-test browser
	@PYTHONPATH=tests:. $(RUN) tests/screenshots.py

screenshots-airflow: $(AIRFLOW_VENV)/.installed browser
	@$(RUN_AIRFLOW) tests/airflow/pictures.py

nightly: $(VENV)/.installed-test pooler
	@PYTHONPATH=tests:. $(RUN) tests/nightly/long_run.py $(NIGHTLY_ARGS)
	@PYTHONPATH=tests:. $(RUN) tests/latecomers.py

bench: $(VENV)/.installed-bench $(VENV)/peers/.installed-dlt $(VENV)/peers/.installed-drt
	@PYTHONPATH=tests $(RUN) -m bench --peers $(VENV)/peers $(BENCH_ARGS)

lint: lint-style lint-types

lint-style: $(VENV)/.installed-test
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m ruff format --check --quiet . || { echo "not formatted; run: $(RUN) -m ruff format ."; exit 1; }

lint-types: $(VENV)/.installed-test
	@$(RUN) -m mypy --no-error-summary

# pip-audit calls it a success when it could look nothing up, unless it is strict; then its last words are a traceback.
audit: $(VENV)/.installed-security
	@rm -f $(VENV)/audit.txt
	@$(RUN) -m pip_audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off \
		--output $(VENV)/audit.txt > $(VENV)/audit.log 2>&1 && echo "no known vulnerability in the pinned versions" || \
		{ test -s $(VENV)/audit.txt && cat $(VENV)/audit.txt && exit 1; \
		echo "audit: NOT checked: the list of vulnerabilities did not answer for every pinned version; is there a network? (see $(VENV)/audit.log)"; \
		exit 2; }

bandit: $(VENV)/.installed-security
	@$(RUN) -m bandit --quiet --configfile pyproject.toml --recursive rehook_sync

clean:
	@rm -rf $(VENV) $(VENV)-airflow* $(BIGQUERY_VENV) $(DATABRICKS_VENV) $(DBT_VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@find . -name .git -prune -o -type d -name __pycache__ -exec rm -rf {} +

$(VENV)-airflow-%/.installed: constraints/airflow-%.txt pyproject.toml
	@echo "installing rehook-sync and Airflow ($*) into $(VENV)-airflow-$* ..."
	@$(PYTHON) -m venv $(VENV)-airflow-$*
	@$(QUIETLY) $(VENV)-airflow-$*/bin/python -m pip install -qq -r $<
	@$(QUIETLY) $(VENV)-airflow-$*/bin/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

ifeq ($(AIRFLOW),)
$(AIRFLOW_VENV)/.installed: pyproject.toml constraints.txt constraints-airflow.txt
	@echo "installing rehook-sync and Airflow into $(AIRFLOW_VENV) ..."
	@$(PYTHON) -m venv $(AIRFLOW_VENV)
	@$(PIP_AIRFLOW) hatchling
	@$(PIP_AIRFLOW) --no-build-isolation -e '.[test-airflow]'
	@touch $@
endif

$(BIGQUERY_VENV)/.installed: pyproject.toml constraints.txt constraints-bigquery.txt
	@echo "installing rehook-sync and Google's client into $(BIGQUERY_VENV) ..."
	@$(PYTHON) -m venv $(BIGQUERY_VENV)
	@$(PIP_BIGQUERY) hatchling
	@$(PIP_BIGQUERY) --no-build-isolation -e '.[test-bigquery]'
	@touch $@

$(DATABRICKS_VENV)/.installed: pyproject.toml constraints.txt constraints-databricks.txt
	@echo "installing rehook-sync, Databricks' connector and Spark into $(DATABRICKS_VENV) ..."
	@$(PYTHON) -m venv $(DATABRICKS_VENV)
	@$(PIP_DATABRICKS) --no-binary pyspark hatchling pyspark  # it comes as source alone, with its Java built
	@$(PIP_DATABRICKS) --no-build-isolation -e '.[test-databricks]'
	@touch $@

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"rehook-sync needs Python 3.11 or newer, this is %d.%d; name another: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

# On a terminal, a dot each second while something goes on: the first command of a newcomer takes half a minute.
moving = dots=; if [ -t 1 ]; then (while sleep 1; do printf .; done) & dots=$$!; fi; { $(1); }; code=$$?; \
	[ -z "$$dots" ] || { kill $$dots; echo; }; exit $$code

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing rehook-sync into $(VENV) ..."
	@$(call moving,$(PIP) hatchling && $(PIP) --no-build-isolation -e '.[demo]')
	@touch $@

$(VENV)/.installed-test: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing rehook-sync and its test tools into $(VENV) ..."
	@$(PIP) hatchling
	@$(PIP) --no-build-isolation -e '.[test]'
	@touch $@ $(VENV)/.installed

# dbt wants other versions than the project does of what both need: it lives in a virtual environment of its own.
$(VENV)/.installed-dbt: $(VENV)/.created sql/dbt/requirements.txt
	@echo "installing dbt into $(VENV)/dbt ..."
	@$(PYTHON) -m venv --clear $(VENV)/dbt
	@$(QUIETLY) $(VENV)/dbt/bin/python -m pip install -qq -r sql/dbt/requirements.txt
	@touch $@

$(DBT_VENV)/.installed-%: sql/dbt/requirements-%.txt
	@echo "installing dbt into $(DBT_VENV)/$* ..."
	@$(PYTHON) -m venv --clear $(DBT_VENV)/$*
	@$(QUIETLY) $(DBT_VENV)/$*/bin/python -m pip install -qq --no-deps -r $<
	@touch $@

# So does the server of the Snowflake bed.
$(VENV)/.installed-fakesnow: $(VENV)/.created tests/beds/snowflake/requirements.txt
	@echo "installing fakesnow into $(VENV)/fakesnow ..."
	@$(PYTHON) -m venv --clear $(VENV)/fakesnow
	@$(QUIETLY) $(VENV)/fakesnow/bin/python -m pip install -qq --no-deps -r tests/beds/snowflake/requirements.txt
	@touch $@

$(VENV)/.installed-security: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing rehook-sync and its security tools into $(VENV) ..."
	@$(PIP) hatchling
	@$(PIP) --no-build-isolation -e '.[security]'
	@touch $@

$(VENV)/.installed-bench: $(VENV)/.created pyproject.toml constraints.txt
	@echo "installing rehook-sync and its bench tools into $(VENV) ..."
	@$(PIP) hatchling
	@$(PIP) --no-build-isolation -e '.[bench]'
	@touch $@

# The tools it is measured beside: each in an environment of its own, since what they need must not meet what we need.
$(VENV)/peers/.installed-%: tests/bench/constraints-%.txt $(VENV)/.created
	@echo "installing $* into $(VENV)/peers/$* ..."
	@$(PYTHON) -m venv --clear $(VENV)/peers/$*
	@PIP_ONLY_BINARY=:all: PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1 \
		$(VENV)/peers/$*/bin/python -m pip install -qq --no-deps -r $<
	@touch $@
