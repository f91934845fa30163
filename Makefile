# `make` lists the targets. Needs GNU make, git and Python 3.11 to 3.13; everything else is installed into .venv, and for `make lint` into node_modules.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first suitable one; to choose another: make run PYTHON=python3.12
FIT := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do $$p -c '$(FIT)' 2>/dev/null && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
FOR_RUN := $(VENV)/.for-run
FOR_TEST := $(VENV)/.for-test
FOR_PAGES := node_modules/.for-lint
INSTALL := $(BIN)/python -m pip install --progress-bar off --disable-pip-version-check --no-input -c constraints.txt
# On a terminal, one line shows what pip is doing; elsewhere a new line every 30 s. sh starts what is in the background deaf to Ctrl-C, so it is passed on.
SHOWN = > $(VENV)/install.log & pid=$$!; trap 'kill $$pid' INT TERM; \
  n=0; while kill -0 $$pid 2>/dev/null; do n=$$((n + 1)); line=$$(tail -n 1 $(VENV)/install.log 2>/dev/null); \
  if [ -t 1 ]; then printf '\r\033[K  %.76s' "$$line"; elif [ $$((n % 30)) = 0 ]; then printf '  %.76s\n' "$$line"; fi; sleep 1; done; \
  if [ -t 1 ]; then printf '\r\033[K'; fi; wait $$pid
COMPILE := $(BIN)/uv pip compile pyproject.toml --all-extras --quiet --no-header --no-annotate

# One per core, at most four: each takes up to 2 GiB.
WORKERS ?= $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 4 ? n : 4)))

# A misspelt VIDEO=videos would otherwise run the sample videos. These settings of the environment may be given, too.
VARIABLES := VIDEOS TO FROM SET ARGS WORKERS VENV PYTHON RETAKE_% COMPOSE_% DOCKER_% CUDA_% PIP_% HTTP_% HTTPS_% NO_% http_% https_% no_%
UNKNOWN := $(filter-out $(VARIABLES),$(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name))))
ifneq ($(UNKNOWN),)
NEAREST := import sys, difflib; print(*[f"did you mean {name}=?" for name in difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1)])
$(error unknown variable $(firstword $(UNKNOWN)). $(shell $(PYTHON) -c '$(NEAREST)' $(firstword $(UNKNOWN)) $(filter-out %_%,$(VARIABLES))) \
  Variables are $(filter-out %_%,$(VARIABLES)))
endif

# These are passed in the environment, so that the shell does not interpret folder names.
export VIDEOS TO FROM

.PHONY: help run start cancel stop status backup restore secrets build up ingest down test test-fast test-containers test-long coverage bench evidence commands format typecheck lint lint-pages constraints constraints-check clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{ printf "%-24s %s\n", $$1, $$2 }'

run: $(FOR_RUN) ## Start the servers and train on the sample videos (or VIDEOS=dir, or a pattern of a bucket). SET="epochs=3 seed=1" changes options
	@$(BIN)/python -m tasks.local run $${VIDEOS:+--videos "$$VIDEOS"} $(foreach pair,$(SET),--set '$(pair)')

start: $(FOR_RUN) ## Start the servers that are not running, and print their addresses
	@$(BIN)/python -m tasks.local start

cancel: ## End all runs that are going on, in the local servers, or in the stack if only that is up
	@if [ -f $(FOR_RUN) ]; then $(BIN)/python -m tasks.local cancel; else echo "nothing runs: nothing is installed in $(VENV)"; fi

stop: ## Stop the servers; runs that are going on are named, and go on at the next start
	@if [ -f $(FOR_RUN) ]; then $(BIN)/python -m tasks.local stop; else echo "nothing runs: nothing is installed in $(VENV)"; fi

status: $(FOR_RUN) ## Show which servers run, their addresses, and what runs in them
	@$(BIN)/python -m tasks.local status

backup: $(FOR_RUN) ## Copy stores, MLflow and Airflow into TO=dir, or s3+NAME://bucket/prefix, while runs go on; only what is new takes time and room
	@[ -n "$$TO" ] || { echo "make backup TO=dir: name the folder or bucket of backups" >&2; exit 1; }
	@$(BIN)/python -m tasks.local backup "$$TO" $(ARGS)

restore: $(FOR_RUN) ## Restore the latest backup of FROM=dir into a new RETAKE_HOME; ARGS="--snapshot NAME" takes another
	@[ -n "$$FROM" ] || { echo "make restore FROM=dir: name the folder or bucket of backups" >&2; exit 1; }
	@$(BIN)/python -m tasks.local restore "$$FROM" $(ARGS)

secrets: ## Write or complete .env with random secrets; `make up` does so first
	@python3 docker/write_env.py

up: ## Start the stack in containers: write secrets, build images, wait until healthy, print addresses
	@python3 docker/stack.py up

build: ## Build the images of the stack, labelled with the git revision
	@python3 docker/stack.py build

ingest: ## Ingest VIDEOS=dir into the stack, or into the local servers if it is not up; SET as above
	@[ -n "$$VIDEOS" ] || { echo "make ingest VIDEOS=dir: name the folder" >&2; exit 1; }
	@$(MAKE) --no-print-directory --silent $(FOR_RUN)
	@$(BIN)/python -m tasks.local ingest-folder "$$VIDEOS" $(foreach pair,$(SET),--set '$(pair)')

down: ## Stop the stack and its steps; volumes and their data are kept
	@python3 docker/stack.py down

test: $(FOR_TEST) ## Run all tests except those in containers; ARGS="tests/local -x" selects, WORKERS=0 uses one process
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-fast: $(FOR_TEST) ## Run the tests without servers, browser, containers and whole trainings; ARGS and WORKERS as above
	$(BIN)/python -m pytest --tier=fast -n $(WORKERS) $(ARGS)

test-containers: $(FOR_TEST) ## Run the tests of the stack in containers; needs a Docker Engine
	$(BIN)/python -m pytest --tier=containers -n 2 $(or $(filter tests/%,$(ARGS)),tests/containers tests/dags) $(filter-out tests/%,$(ARGS))

test-long: $(FOR_TEST) ## Run the tests that take minutes each; before a release
	$(BIN)/python -m pytest --tier=long -n $(WORKERS) $(ARGS)

coverage: $(FOR_TEST) ## Run the tests of `make test` and report code coverage
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS) --cov

bench: $(FOR_TEST) ## Benchmark speed and memory against the original code; ARGS="--quick --only item" selects
	$(BIN)/python -m tests.bench $(ARGS)

evidence: $(FOR_TEST) ## Simulate the error rates of intervals, gate and corrections; ARGS=--write-docs updates docs/evidence.md
	$(BIN)/python -m tests.simulations $(ARGS)

commands: $(FOR_TEST) ## Write docs/commands.md from the contracts of the steps
	$(BIN)/python -m tests.pipeline.page

format: $(FOR_TEST) ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

typecheck: $(FOR_TEST) ## Check types
	$(BIN)/mypy
	$(BIN)/mypy docker/*.py docker/*/*.py

lint: typecheck lint-pages ## Check style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m tests.pipeline.page --count

lint-pages: ## Check the scripts of the pages: types by their JSDoc, and rules; a part of `make lint`
	@if ! command -v npm > /dev/null; then \
	  echo "the scripts of the pages are not checked: no npm is installed (Debian: npm)$${CI:+, and CI requires it}" >&2; [ -z "$$CI" ]; \
	else $(MAKE) --silent $(FOR_PAGES) && npm run --silent lint; fi

define CONSTRAINTS_HEAD
# One set of versions that fits Python 3.11 to 3.13, and the one that is tested. Made by `make constraints`, checked by `make constraints-check`.
# torch, torchvision, triton and the CUDA libraries are left out on purpose: pyproject.toml gives their range, and which build of them is
# right (CPU, or which CUDA) is the machine's matter.
endef
export CONSTRAINTS_HEAD

constraints: $(FOR_TEST) ## Update constraints.txt to the newest versions that pyproject.toml allows
	{ printf '%s\n' "$$CONSTRAINTS_HEAD"; $(COMPILE) --universal --python-version 3.11 \
	  | grep -vE '^((torch|torchvision|triton)==|(nvidia|cuda)-)'; } > $(VENV)/constraints.new
	mv $(VENV)/constraints.new constraints.txt

constraints-check: $(FOR_TEST) ## Check that constraints.txt resolves for each Python, and that no list of versions names a registry
	@! grep -n '://' constraints.txt
	@! grep -n '"resolved"' package-lock.json
	@for version in 3.11 3.12 3.13; do \
	  $(COMPILE) --python-version $$version --python-platform x86_64-manylinux_2_28 -c constraints.txt > /dev/null || exit 1; \
	  echo "constraints.txt resolves for Python $$version"; \
	done

clean: stop ## Stop the servers, remove .venv and the caches; .retake with models and passwords is kept
	rm -rf $(VENV) .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis node_modules

# Two at once would install into one environment: the second waits, and looks again. Where the file system has no locks, none is taken.
# The lock lies beside the environment, which is deleted where it cannot be made.
ifndef LOCKED
$(FOR_RUN) $(FOR_TEST): pyproject.toml constraints.txt
	@command -v flock > /dev/null || { echo "flock is missing; install it (Debian: util-linux)" >&2; exit 1; }
	@mkdir -p $(dir $(VENV)); exec 9> $(VENV).lock; flock -n 9 || [ $$? != 1 ] || { echo "another make installs into $(VENV); this one waits for it"; flock 9; } \
	  && LOCKED=1 exec $(MAKE) --silent $@
else
# venv writes it at its end: where that was killed, it is made anew.
$(BIN)/pip:
	@if [ -z "$(PYTHON)" ]; then \
	  echo "Retake needs Python 3.11 to 3.13 with its venv module, and none was found. Install one (Debian: python3-venv), or name it: make run PYTHON=/path/to/python" >&2; exit 1; fi
	@$(PYTHON) -c '$(FIT)' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11 to 3.13 with its venv module ($$($(PYTHON) --version 2>&1)). Install python3-venv, or name another: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(FOR_RUN): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing into $(VENV); some minutes the first time"
	@$(INSTALL) -e '.[airflow,steps,train,local]' $(SHOWN)
	@touch $@

$(FOR_TEST): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing into $(VENV), with the packages of the tests; some minutes the first time"
	@$(INSTALL) -e '.[airflow,steps,train,local,dev]' $(SHOWN)
	@touch $@ $(FOR_RUN)
endif

$(FOR_PAGES): package.json package-lock.json
	@echo "installing the checks of the pages' scripts into node_modules"
	@npm ci --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@
