# app_elevenlabs_convai: build, install, test.    `make help` lists what there is.
#
# Two Pythons play a part, and they may differ:
#   PYTHON   the one that Asterisk will embed; the core and the module are built for it
#   HOST     the one in build/venv, made here from requirements/, that runs the tests and the linters

MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

# --- what you may set -------------------------------------------------------------------------------

# The default: the virtual environment that install-deps makes where the distribution's packages are too
# old, else python3.
SYSTEM_VENV := /usr/local/lib/app_elevenlabs_convai/venv
ifeq ($(origin PYTHON),undefined)
PYTHON := $(or $(wildcard $(SYSTEM_VENV)/bin/python),python3)
endif
# The module's Makefile runs in another directory. Not realpath: a virtual environment's python is a link.
ifneq ($(findstring /,$(PYTHON)),)
override PYTHON := $(abspath $(PYTHON))
endif
# The Python that build/venv is made from.
HOST_PYTHON ?= python3
# 0 installs Python packages by their ranges (requirements/), not what was tried, checked by its hashes.
LOCKED ?= 1
export LOCKED
# 1 shows every command.
VERBOSE ?= 0
# 1 makes compiler warnings errors: for who works on the code, not for who builds it with a compiler of
# tomorrow. What is started from here knows it by the environment.
STRICT := test test-unit test-security test-sanitize test-full test-all test-mutations fuzz dev
WERROR ?= $(if $(filter $(STRICT),$(MAKECMDGOALS)),1,0)
export WERROR
# default, debug or release: what was built last, so that `make debug && make install` installs just that.
# Not taken from the environment, where the name may mean something else.
MODE := $(or $(file <build/mode),default)
# Added last to the arguments of compiler and linker, of the core and of the module (sanitizers, coverage):
# those of the environment or the command line, then our own. The compiler's go to the linker as well.
CFLAGS ?=
LDFLAGS ?=
CONVAI_CFLAGS ?=
CONVAI_LDFLAGS ?=
DESTDIR ?=
ASTERISK_CONF ?= /etc/asterisk/asterisk.conf
# 1 installs for a Python that others than root may change: their code will run in Asterisk.
TRUST_PYTHON ?= 0
PORT ?= 8765
# Seconds that make fuzz looks for; KEEP=1 adds what it found to its corpus.
TIME ?= 60
KEEP ?= 0
# Added to pytest's arguments: make test-unit PYTEST_ARGS='-k ring'
PYTEST_ARGS ?=
# Files of tests that run at once. Most tests wait for calls; those marked `alone` run by themselves.
JOBS ?= 4

# --- names ------------------------------------------------------------------------------------------

MODULE_DIR := app_elevenlabs_convai
FORK_DIR := app_forkstream
VENV := build/venv
HOST := $(VENV)/bin/python
TEST_STAMP := $(VENV)/.test-requirements
LINT_STAMP := $(VENV)/.lint-requirements
# Of its own: what asks the network is no part of the tests.
MAINTAIN_VENV := build/venv-maintain
MAINTAIN_STAMP := $(MAINTAIN_VENV)/.requirements
# What ruff and mypy look at; parts that are not there are left out.
PYTHON_CODE := $(wildcard setup.py pyconvai testbed scripts tests app_elevenlabs_convai/*/*.py app_forkstream/*.py)
TYPED_CODE := $(wildcard setup.py pyconvai testbed scripts/*.py app_elevenlabs_convai/*/*.py app_forkstream/*.py)

OPTIMIZATION_default := -O2
OPTIMIZATION_debug := -O0 -g3 -UNDEBUG
OPTIMIZATION_release := -O2 -DNDEBUG
OPTIMIZATION := $(OPTIMIZATION_$(MODE))
ifeq ($(OPTIMIZATION),)
$(error MODE is default, debug or release, not '$(MODE)')
endif

Q := $(if $(filter 1,$(VERBOSE)),,@)
# The module's own Makefile, for everything that concerns the module.
MODULE_MAKE = $(MAKE) -C $(MODULE_DIR) PYTHON='$(PYTHON)' VERBOSE='$(VERBOSE)' WERROR='$(WERROR)' \
	OPTIMIZATION='$(OPTIMIZATION)' DESTDIR='$(DESTDIR)' ASTERISK_CONF='$(ASTERISK_CONF)' \
	TRUST_PYTHON='$(TRUST_PYTHON)' CORE_IS_BUILT=1
# The tap has no Python in it; its scripts run with this one.
FORK_MAKE = $(MAKE) -C $(FORK_DIR) PYTHON='$(PYTHON)' VERBOSE='$(VERBOSE)' WERROR='$(WERROR)' \
	OPTIMIZATION='$(OPTIMIZATION)' DESTDIR='$(DESTDIR)' ASTERISK_CONF='$(ASTERISK_CONF)'
# The core, for the Python given. CFLAGS of the environment would take the place of that Python's own.
BUILD_CORE = env -u CFLAGS -u LDFLAGS CONVAI_WERROR='$(WERROR)' \
	CONVAI_CFLAGS='$(OPTIMIZATION) $(CFLAGS) $(CONVAI_CFLAGS)' \
	CONVAI_LDFLAGS='$(CFLAGS) $(LDFLAGS) $(CONVAI_LDFLAGS)' $(1) setup.py $(if $(filter 1,$(VERBOSE)),,--quiet) build_ext --inplace

# --- build ------------------------------------------------------------------------------------------

.PHONY: all debug release core module install rollback uninstall clean distclean

all: ## Build the core and the modules (the default)
	$(Q)$(MAKE) module MODE=default

debug release: ## Build them without optimization, or without assertions
	$(Q)$(MAKE) module MODE=$@

core: ## Build only pyconvai/core/_core, in place; needs no Asterisk
	$(Q)$(PYTHON) scripts/check_deps.py --quiet core
	$(Q)$(call BUILD_CORE,$(PYTHON))
	$(Q)scripts/tell-preload.sh '$(CC)' $(CFLAGS) $(CONVAI_CFLAGS)

# What the module lacks is said before anything is compiled.
module:
	$(Q)$(PYTHON) scripts/check_deps.py --quiet module
	$(Q)$(MAKE) core
	$(Q)$(MODULE_MAKE) all
	$(Q)$(FORK_MAKE) all
	$(Q)echo $(MODE) > build/mode

install: module ## Install modules, engine, documentation; DESTDIR=, ASTERISK_CONF=
	$(Q)$(MODULE_MAKE) install
	$(Q)$(FORK_MAKE) install

rollback: ## Go back to the engine that was installed before; the modules stay
	$(Q)$(MODULE_MAKE) rollback

uninstall: ## Remove what install put there, except elevenlabs.conf and forkstream.conf
	$(Q)$(MODULE_MAKE) uninstall
	$(Q)$(FORK_MAKE) uninstall

# The testbed bind-mounts folders; rm -rf over a mount that was left behind would empty its source.
define refuse_mounts
@if grep -q ' $(CURDIR)/build/' /proc/self/mounts 2>/dev/null; then \
	echo 'Something is mounted below $(CURDIR)/build; unmount it first (see /proc/self/mounts).' >&2; \
	exit 1; \
fi
endef

clean: ## Remove everything built, except the test environment build/venv
	$(refuse_mounts)
	$(Q)if [ -f $(MODULE_DIR)/Makefile ]; then $(MODULE_MAKE) clean; fi
	$(Q)if [ -f $(FORK_DIR)/Makefile ]; then $(FORK_MAKE) clean; fi
	$(Q)if [ -d build ]; then find build -mindepth 1 -maxdepth 1 ! -name venv -exec rm -rf {} +; fi
	$(Q)rm -rf pyconvai/core/_core.*.so *.egg-info compile_commands.json
	$(Q)find $(PYTHON_CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove build/venv as well
	$(Q)rm -rf build .pytest_cache .mypy_cache .ruff_cache

.PHONY: dev

# What was named, on the command line or for ASTERISK_CONF in the environment; not the defaults.
named = $(if $(filter $(2),$(origin $(1))),$(3) '$($(1))')
dev: ## Bring each saved change into a running Asterisk: NAME= (of the testbed), ASTERISK_CONF=, ONCE=1
	$(Q)exec $(HOST_PYTHON) scripts/dev.py $(call named,NAME,command line,--name) \
		$(call named,ASTERISK_CONF,command line environment,--conf) \
		$(if $(filter 1,$(ONCE)),--once)

# --- dependencies -----------------------------------------------------------------------------------

.PHONY: check-deps install-deps venv

check-deps: ## Say what is there and what is missing
	$(Q)$(PYTHON) scripts/check_deps.py

install-deps: ## Install what building and running the module needs (as root)
	$(Q)scripts/install-deps.sh module

venv: $(TEST_STAMP) ## Make build/venv, the environment of the tests

$(TEST_STAMP): requirements/locked/test.txt
	$(Q)scripts/make-venv.sh '$(HOST_PYTHON)' $(VENV) test
	$(Q)touch $@

$(LINT_STAMP): requirements/locked/lint.txt $(TEST_STAMP)
	$(Q)scripts/make-venv.sh '$(HOST_PYTHON)' $(VENV) lint
	$(Q)touch $@

$(MAINTAIN_STAMP): requirements/locked/maintain.txt
	$(Q)scripts/make-venv.sh '$(HOST_PYTHON)' $(MAINTAIN_VENV) maintain
	$(Q)touch $@

# --- tests ------------------------------------------------------------------------------------------

.PHONY: test test-unit test-sanitize test-full test-all test-live test-security test-mutations fuzz host-core root mock-server demo pictures bench bench-core bench-fork

TESTS := tests/unit tests/asterisk tests/conformance
# In the order of tests/conftest.py, not by how many tests a file has.
AT_ONCE := -n $(JOBS) --dist loadfile --no-loadscope-reorder

host-core: $(TEST_STAMP)
	$(Q)$(call BUILD_CORE,$(HOST))
	$(Q)scripts/tell-preload.sh '$(CC)' $(CFLAGS) $(CONVAI_CFLAGS)

test-unit: host-core ## Run the tests that need no Asterisk (a minute)
	$(Q)$(HOST) -m pytest $(AT_ONCE) -m 'not slow' tests/unit $(PYTEST_ARGS)

# One to two minutes. What is not installed (clang, valgrind) is skipped, loudly.
test-sanitize: export CONVAI_FULL := 1
test-sanitize: host-core ## Run the module's tests under ASan, UBSan, TSan, valgrind and clang
	$(Q)$(HOST) -m pytest $(wildcard tests/unit/test_host*.py) tests/unit/test_threads.py $(PYTEST_ARGS)

# The private Asterisk: the machine's own where there is one, else a root folder in the user's cache.
root: $(TEST_STAMP)
	$(Q)$(HOST) -m testbed root

test: host-core root ## Run every test that needs no account: real calls through a real Asterisk
	$(Q)PYTHON=$(HOST) tests/conformance/install.sh
	$(Q)[ '$(CONVAI_FULL)' != 1 ] || PYTHON=$(HOST) tests/browser/install.sh
	$(Q)rm -f build/unsteady.txt
	$(Q)$(HOST) -m tests.twice $(AT_ONCE) -m 'not alone' $(TESTS) $(PYTEST_ARGS)
	$(Q)$(HOST) -m tests.twice -m alone $(TESTS) $(PYTEST_ARGS)
	$(Q)$(HOST) -m tests.planted .
	$(Q)[ ! -f build/unsteady.txt ] || { echo '==> UNSTEADY: failed beside others, passed alone:'; cat build/unsteady.txt; }

# The last step searches what this and any run of the tests before it has left, in a second or two.
test-security: host-core root ## Run what docs/security.md names; look for keys that tests have left anywhere
	$(Q)$(HOST) -m pytest $(AT_ONCE) -m security $(TESTS) $(PYTEST_ARGS)
	$(Q)$(HOST) -m tests.planted . --temporary

test-full test-all: export CONVAI_FULL := 1
test-full test-all: test test-mutations ## Run `test` and the long ones

# Exit status 2 if something is missing that only you can give; make has no other for any failure.
test-live: ## Call a real agent: ELEVENLABS_API_KEY, ELEVENLABS_AGENT_ID; costs what a short call costs
	$(Q)$(MODULE_DIR)/tests/test_integration --live

test-mutations: host-core ## Put faults into copies of the code; each must make a test fail
	$(Q)$(HOST) -m tests.mutations.run

fuzz: host-core ## Look for bytes that the reader of frames mishandles: TIME=60 (seconds), KEEP=1
	$(Q)KEEP='$(KEEP)' tests/fuzz/run.sh '$(TIME)' $(HOST)

mock-server: ## Run the mock agent in the foreground; PORT=8765
	$(Q)python=$$(for each in $(HOST) '$(PYTHON)'; do \
		if $$each -c 'import websockets.asyncio' 2>/dev/null; then echo $$each; break; fi; done); \
	if [ -z "$$python" ]; then $(MAKE) venv; python=$(HOST); fi; \
	exec $$python -m pyconvai.mock --host 127.0.0.1 --port $(PORT)

demo: host-core ## Place a real call to a talking mock agent and show the conversation
	$(Q)$(HOST) -m testbed.demo

pictures: host-core root ## Make the pictures of README.md and docs/ anew, of real calls (two minutes)
	$(Q)PYTHON=$(HOST) tests/browser/install.sh
	$(Q)$(HOST) -m tests.asterisk.pictures

bench: export QUICK := $(QUICK)
bench: export FULL := $(FULL)
bench: export PARTS := $(PARTS)
bench: host-core root ## Measure what a call costs: ten minutes; QUICK=1: three; FULL=1: more; PARTS=programs,viewers: these alone
	$(Q)$(HOST) -m testbed.bench

bench-fork: host-core root ## Measure what ForkStream() costs beside Echo(): four minutes
	$(Q)$(HOST) -m testbed.bench_fork

bench-core: host-core ## Measure the small parts that each frame goes through, in ns (seconds)
	$(Q)$(HOST) -m testbed.bench_core

# --- care -------------------------------------------------------------------------------------------

.PHONY: lint lint-format lint-python lint-arrows lint-words lint-c format lock audit compile-commands help

lint: lint-format lint-python lint-arrows lint-words lint-c ## Check the code: formatting, ruff, mypy, includes, words from outside, cppcheck, flawfinder

lint-format: $(LINT_STAMP)
	$(Q)scripts/format.sh --check $(VENV)/bin

lint-python: $(LINT_STAMP)
	$(Q)$(VENV)/bin/ruff check $(PYTHON_CODE)
	$(Q)$(VENV)/bin/mypy $(TYPED_CODE)

lint-arrows:
	$(Q)$(HOST_PYTHON) scripts/check_arrows.py

lint-words:
	$(Q)$(HOST_PYTHON) scripts/check_words.py

lint-c:
	$(Q)scripts/lint-c.sh $(MODULE_DIR) $(FORK_DIR) pyconvai

lock: $(MAINTAIN_STAMP) ## Make the lists of what is installed, with hashes, anew: the newest that the ranges allow
	$(Q)scripts/lock.sh $(MAINTAIN_VENV)

audit: $(MAINTAIN_STAMP) ## Ask the network for known holes in what is installed (lint does not: it needs no network)
	$(Q)scripts/audit.sh $(MAINTAIN_VENV)

format: $(LINT_STAMP) ## Format the code: Python by ruff, C by astyle, shell by shfmt
	$(Q)scripts/format.sh $(VENV)/bin

compile-commands: ## Write compile_commands.json, for clangd and other editors' helpers
	$(Q)$(MODULE_MAKE) compile-commands
	$(Q)$(FORK_MAKE) compile-commands

help: ## Show this
	@printf 'make [target] [NAME=value]\n\n'
	@awk -F ':.*## ' '/^[a-z][a-z -]*:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@printf '\n'
	@printf '  %-20s %s\n' 'PYTHON=$(PYTHON)' 'the Python that Asterisk will embed' \
		'VERBOSE=1' 'show every command' 'WERROR=1' 'stop at compiler warnings, as the tests do' \
		'CFLAGS=, LDFLAGS=' 'added last for the compiler and the linker: -fsanitize=address' \
		"PYTEST_ARGS='-k x'" 'passed on to pytest'
