# The menu. `make` alone lists it; `make demo` and `make test` are all a newcomer needs.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo demo-pair test test-engine test-stores test-e2e bench bench-pair simulate lint fmt deny clean release needs-test

SERVER ?= prosody
ONCE   ?=
RUNS   ?= 30
STORE  ?= postgresql
LEVEL  ?= 2
PYTEST_ARGS ?=
PYTHON := /usr/bin/python3
CARGO  := cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
E2E     = TANDEM_MUC_BIN=$(TARGET)/debug/tandem-muc PYTHONDONTWRITEBYTECODE=1 $(PYTHON) -m pytest -c tests/e2e/pytest.ini tests/e2e $(PYTEST_ARGS)

help: ## this list
	@if [ -t 1 ] && [ -z "$${NO_COLOR:-}" ]; then bold=$$(tput bold 2>/dev/null || true); plain=$$(tput sgr0 2>/dev/null || true); fi; \
	echo "Tandem MUC: make TARGET"; \
	grep -E '^[a-z0-9-]+:.*## ' Makefile | while IFS= read -r line; do \
	  printf '  %s%-12s%s %s\n' "$${bold:-}" "$${line%%:*}" "$${plain:-}" "$${line#*## }"; done

demo: ## a room on a real server that survives kill -9, in a minute (SERVER=prosody|ejabberd, ONCE=1 ends by itself)
	@case '$(SERVER)' in prosody|ejabberd) ;; *) echo "demo: SERVER=$(SERVER) is neither prosody nor ejabberd" >&2; exit 2;; esac
	@tests/needs.sh demo-$(SERVER)
	@$(MAKE) --no-print-directory release
	@TANDEM_MUC_BIN=$${TANDEM_MUC_BIN:-$(TARGET)/release/tandem-muc} $(PYTHON) conf/demo/demo.py --server $(SERVER) $(if $(ONCE),--once)

demo-pair: ## four people, two nodes, kill -9 of the one that serves: a pause, and nothing else (SERVER=, ONCE=1)
	@case '$(SERVER)' in prosody|ejabberd) ;; *) echo "demo-pair: SERVER=$(SERVER) is neither prosody nor ejabberd" >&2; exit 2;; esac
	@tests/needs.sh demo-$(SERVER)
	@$(MAKE) --no-print-directory release
	@TANDEM_MUC_BIN=$${TANDEM_MUC_BIN:-$(TARGET)/release/tandem-muc} $(PYTHON) conf/demo/demo_pair.py --server $(SERVER) $(if $(ONCE),--once)

test: needs-test ## everything: engines, scenarios, both databases, both servers (installs what is missing)
	$(CARGO) build --workspace --all-targets
	@said=$$(mktemp); trap 'rm -f "$$said"' EXIT; \
	$(CARGO) test --workspace 2>&1 | tee "$$said"; \
	$(E2E) 2>&1 | tee -a "$$said"; \
	echo; echo "Skipped:"; grep -iE '^SKIPPED|: skipped|skipped:|skipped \(' "$$said" | sort -u | sed 's/^/  /' || echo "  nothing"

test-engine: ## the pure engines and their scenario scripts: seconds, no server, no database
	$(CARGO) test -p tandem-muc-core
	$(CARGO) test -p tandem-muc-tests --test tidy --test scenarios

test-stores: needs-test ## one contract suite on SQLite and on a PostgreSQL of its own
	$(CARGO) test -p tandem-muc-tests --test contract

test-e2e: needs-test ## real Prosody, real ejabberd, real clients, kill -9 (PYTEST_ARGS='-k kill')
	$(CARGO) build --bin tandem-muc
	$(E2E)

bench: ## one table: engine, fan-out beside its limit, group commit, memory
	@tests/needs.sh test
	$(CARGO) bench -p tandem-muc-tests

bench-pair: ## the gap after kill -9 and the pause of a planned move, beside their budget (RUNS=30, SERVER=, STORE=, LEVEL=)
	@tests/needs.sh test
	@$(MAKE) --no-print-directory release
	@TANDEM_MUC_BIN=$${TANDEM_MUC_BIN:-$(TARGET)/release/tandem-muc} PYTHONDONTWRITEBYTECODE=1 $(PYTHON) tests/bench-pair/main.py --server $(SERVER) --runs $(RUNS) --store $(STORE) --level $(LEVEL)

simulate: ## pair, rooms and relay against everything that can fail (SEEDS=100000 runs more, SEED=123 one with its trace)
	$(CARGO) test -q --release -p tandem-muc-tests --test simulation -- --nocapture whatever_goes_wrong

lint: ## clippy on everything, warnings are errors; formatting checked
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

fmt: ## formats the Rust code
	$(CARGO) fmt --all

deny: ## licences, advisories and sources of all dependencies (needs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo "deny: cargo-deny is missing; install it with: cargo install --locked cargo-deny" >&2; exit 1; }
	$(CARGO) deny check

release: ## the program as it is shipped, in target/release
	@tests/needs.sh build
	$(CARGO) build --release --bin tandem-muc

clean: ## removes everything that was built
	$(CARGO) clean
	find tests conf -name __pycache__ -type d -prune -exec rm -rf {} +

needs-test:
	@tests/needs.sh test
