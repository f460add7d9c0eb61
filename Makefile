# The only spellings of the project's chores. Needs GNU make 3.81 and a Python of 3.11 or newer; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := .venv/bin
STAMP := .venv/.installed
PYTHONS := python3.13 python3.12 python3.11 python3
PACKAGES := bot core adapters config

# The lock file is whole, so pip resolves nothing: left to resolve, some versions of it look at the newest release first
# and then refuse it for having no pin.
PINNED := --quiet --disable-pip-version-check --require-hashes --no-deps

# No find-links or index of the caller's may leak into the lock file, and it must not say where it was made.
LOCK := env -u PIP_FIND_LINKS -u UV_FIND_LINKS -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL \
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --quiet

.PHONY: help install run dev watch eval test test-deep test-real test-live test-kill soak test-cov lint bench bench-long lock clean \
	docker-build docker-up docker-agent docker-down docker-logs

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name words; do \
		printf '  make %-12s %s\n' "$$name" "$$words"; done

install: $(STAMP) ## the set-up alone: .venv, everything pinned
	@:

# A name on the PATH proves nothing (version managers leave dead ones), so each candidate is run. Standard input is
# left alone: in `make run` it belongs to timmy.
$(STAMP): requirements.txt pyproject.toml
	@exec </dev/null; \
	if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
		chosen=; bare=; \
		for python in $(PYTHONS); do \
			"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
			if "$$python" -c 'import venv, ensurepip' 2>/dev/null; then chosen=$$python; break; fi; \
			bare=$${bare:-$$python}; \
		done; \
		if [ -z "$$chosen" ] && [ -n "$$bare" ]; then \
			echo "timmy: $$bare has no venv module; install it (on Debian: apt install $$($$bare -c \
			'import sys; print("python3.%d-venv" % sys.version_info[1])')), then try again" >&2; exit 1; \
		fi; \
		if [ -z "$$chosen" ]; then \
			echo "timmy: no Python of 3.11 or newer found (looked for: $(PYTHONS))" >&2; exit 1; \
		fi; \
		echo "timmy: setting up .venv with $$chosen, once; this takes about a minute" >&2; \
		"$$chosen" -m venv --clear .venv || exit 1; \
	else \
		echo "timmy: bringing .venv up to date" >&2; \
	fi; \
	$(BIN)/python -m pip install $(PINNED) -r requirements.txt >&2 && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . >&2 && \
	$(BIN)/python -m compileall -q $(PACKAGES) >&2 && \
	touch $@

run: $(STAMP) ## set-up if needed, then the hub with a chat on standard input
	@exec $(BIN)/timmy run --console

dev: $(STAMP) ## the hub, started anew whenever its code changes
	@exec $(BIN)/watchfiles '$(BIN)/timmy run' $(PACKAGES)

# The tests of the rules, which take seconds; ARGS='--command "make test"' has all of them run.
RULES := $(addprefix tests/unit/,agent automation kernel swarm treasury voice wallet)
watch: $(STAMP) ## self-tdd on this checkout: the tests of the rules, again at each change
	@exec $(BIN)/self-tdd watch --command '$(BIN)/python -m pytest -q $(RULES)' $(ARGS)

# Compiled once, and kept: the tests start many processes, and each would compile what it imports. A worker for each processor, but
# not so many that importing everything takes longer than the tests; nor what is deselected anyway.
test: export PYTHONDONTWRITEBYTECODE =
test: $(STAMP) ## every test that needs no other server; under a minute on two slow cores
	@$(BIN)/python -m compileall -q -j 0 -x '/test_[^/]*$$' bot core adapters config tests  # pytest compiles its own
	@$(BIN)/python -m pytest -q -n $$($(BIN)/python -c 'import os; print(min((os.cpu_count() or 1) + 1, 8))') --dist worksteal \
		--ignore tests/real --ignore tests/live $(ARGS)

test-deep: $(STAMP) ## the property tests with many more examples, and what is too long for make test
	@TEST_DEPTH=deep $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "deep or long or hypothesis" $(ARGS)

# What only these tests need is large (a browser's driver) and stays out of requirements.txt.
$(STAMP)-real: tests/real/requirements.txt $(STAMP)
	@$(BIN)/python -m pip install $(PINNED) -r $< >&2 && touch $@

# A homeserver, in a folder of its own: it pins other versions of what the hub uses too.
$(STAMP)-synapse: tests/real/synapse-requirements.txt $(STAMP)
	@rm -rf .venv/synapse
	@$(BIN)/python -m pip install $(PINNED) --target .venv/synapse -r $< >&2 && touch $@

# Two emulators of Telegram, in folders of their own: one is for node; the other pins an older Pillow than the hub's, and asks
# for a newer Python than it needs.
$(STAMP)-tg-auto-test: tests/real/tg-auto-test-requirements.txt $(STAMP)
	@rm -rf .venv/tg-auto-test
	@$(BIN)/python -m pip install $(PINNED) --no-build-isolation --ignore-requires-python --target .venv/tg-auto-test \
		-r $< >&2 && touch $@

# llama.cpp, whose wheels hold its server: 100 MB.
$(STAMP)-engine: tests/real/engine-requirements.txt $(STAMP)
	@rm -rf .venv/engine
	@$(BIN)/python -m pip install $(PINNED) --only-binary :all: --target .venv/engine -r $< >&2 && touch $@

# The reference servers of MCP, in a folder of their own: a program that the hub starts has its own libraries.
$(STAMP)-mcp-servers: tests/real/mcp-servers-requirements.txt $(STAMP)
	@rm -rf .venv/mcp-servers
	@$(BIN)/python -m pip install $(PINNED) --target .venv/mcp-servers -r $< >&2 && touch $@

$(STAMP)-npm: tests/real/package-lock.json $(STAMP)
	@if npm --version >/dev/null 2>&1; then \
		mkdir -p .venv/npm && cp tests/real/package.json $< .venv/npm && \
		(cd .venv/npm && npm ci --silent --no-audit --no-fund --ignore-scripts >&2) && touch $@; \
	else \
		echo "timmy: npm is not installed (on Debian: apt install nodejs npm); its tests will be skipped" >&2; \
	fi

test-real: $(STAMP)-real $(STAMP)-tg-auto-test $(STAMP)-npm $(STAMP)-synapse $(STAMP)-engine $(STAMP)-mcp-servers ## the tests against real counterparts, which it starts itself; names what it skipped
	@$(BIN)/python -m pytest -q -rs -m real tests/real $(ARGS)

test-live: $(STAMP) ## what can be asked of a real Lightning node, of the one that settings name; spends 1,000 sats at most
	@$(BIN)/python -m pytest -q -rs -m live --force-enable-socket tests/live $(ARGS)

test-kill: $(STAMP) ## the long kill sweeps
	@$(BIN)/python -m pytest -q -rs -m kill_sweep $(ARGS)

soak: $(STAMP) ## one hub, every surface, five minutes of people and troubles; ARGS="--seconds 30" for less
	@$(BIN)/python -m pytest -q -s -m soak tests/soak $(ARGS)

test-cov: $(STAMP) ## the tests with branch coverage: core 100 %, all 90 %
	@$(BIN)/coverage erase
	@$(BIN)/python -m pytest -q -n 2 $(PACKAGES:%=--cov=%) --cov-report= --cov-fail-under=0 $(ARGS)
	@$(BIN)/coverage report --skip-covered --show-missing
	@$(BIN)/coverage report --include='core/*' --fail-under=100 --format=total >/dev/null || \
		{ echo "timmy: core is not covered to 100 %" >&2; exit 1; }

lint: $(STAMP) ## ruff, mypy, the import rules, and that generated docs are fresh
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { $(BIN)/ruff format --check; exit 1; }
	@$(BIN)/mypy --no-error-summary
	@out=$$($(BIN)/lint-imports 2>&1) || { printf '%s\n' "$$out"; exit 1; }
	@if [ -f bot/docs.py ]; then $(BIN)/python -m bot.docs --check; fi
	@echo "lint: clean"

# Queues that others wrote, in a folder of their own.
$(STAMP)-queues: tests/bench/requirements.txt $(STAMP)
	@rm -rf .venv/queues
	@$(BIN)/python -m pip install $(PINNED) --target .venv/queues -r $< >&2 && touch $@

MODEL :=
eval: $(STAMP) ## the personas' task set against a real model, as a table: MODEL=qwen3:8b (docs/eval.md)
	@[ -n "$(MODEL)" ] || { \
		echo "timmy: say which model: make eval MODEL=qwen3:8b; MODEL=scripted shows mechanics only" >&2; exit 2; }
	@$(BIN)/python -m tests.eval --model '$(MODEL)' $(ARGS)

bench: $(STAMP) $(STAMP)-queues ## measure the hub against its budgets
	@$(BIN)/python -m tests.bench $(ARGS)

bench-long: $(STAMP) ## what a task costs after a million others; takes minutes, and 3 GB of disk
	@$(BIN)/python -m tests.bench --long $(ARGS)

# Keeps the pins that still fit; `make lock ARGS=--upgrade` takes the newest of everything.
lock: $(STAMP) ## compile requirements.txt from pyproject.toml
	@$(LOCK) --output-file requirements.txt $(ARGS)
	@if grep -nE '^ *(--(index|extra-index|find-links)|-[if] )|://|^/' requirements.txt; then \
		echo "timmy: requirements.txt names a place; it must not" >&2; exit 1; fi

# $(call DOCKER,NAME,PROBE): one clear line where docker cannot do it, instead of docker's own several.
DOCKER = @command -v docker >/dev/null || { \
		echo "timmy: docker is not installed; docs/container.md says what is needed" >&2; exit 1; }; \
	docker $(1) $(2) >/dev/null 2>&1 || { \
		echo "timmy: this docker has no '$(1)'; docs/container.md says what is needed" >&2; exit 1; }; \
	docker info >/dev/null 2>&1 || { \
		echo "timmy: docker's server does not answer; start it, or join its group" >&2; exit 1; }
COMPOSE := docker compose --profile '*'

docker-build: ## build the images: timmy, and timmy-agent
	$(call DOCKER,build,--help)
	@docker build --tag timmy $(ARGS) .
	@docker build --tag timmy-agent --target agent $(ARGS) .

docker-up: ## start the hub in a container, and wait until it is healthy
	$(call DOCKER,compose,version)
	@docker compose up --detach --wait $(ARGS)
	@docker compose exec hub timmy status --page

# Its token comes from the hub and goes into a volume of its own: no file of this machine has it, and no environment.
NAME := box
docker-agent: ## start an agent in a container beside that hub; NAME=other calls it otherwise
	$(call DOCKER,compose,version)
	@docker compose exec -T hub timmy token revoke worker $(NAME) >/dev/null 2>&1 || true
	@token=$$(docker compose exec -T hub timmy token worker $(NAME) 2>/dev/null) || { \
		echo "timmy: the hub gives $(NAME) no token; does it run (make docker-up)?" >&2; exit 1; }; \
	printf %s "$$token" | docker compose run --rm --no-deps -T agent sh -c 'umask 077; cat >/run/agent/token'
	@NAME=$(NAME) docker compose up --detach --no-deps --force-recreate $(ARGS) agent

docker-down: ## stop it and what runs beside it; data and workspace stay
	$(call DOCKER,compose,version)
	@$(COMPOSE) down $(ARGS)

docker-logs: ## follow what the containers say
	$(call DOCKER,compose,version)
	@$(COMPOSE) logs --follow --tail 100 $(ARGS)

clean: ## remove the set-up and every cache; data and workspace stay
	@rm -rf .venv build *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		.import_linter_cache
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +
