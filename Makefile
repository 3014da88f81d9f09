# The commands of the book. Each sets up .venv by itself, once, from the locked requirements.

# The newest Python from 3.11 on that is found; or say PYTHON=...
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
PORT ?= 8000
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check --no-input --require-hashes

.PHONY: help book test watch serve check site-test bench evidence clean venv site-venv

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

book: venv ## tangle, run and build the book into _build/html
	@$(BIN)/python tangle.py
	@$(BIN)/jupyter-book build -q -W -n --keep-going . 2>&1 >/dev/null
	@echo "The book is built; open _build/html/index.html"

test: venv ## run all tests that need no browser
	@$(BIN)/python -m pytest

watch: venv ## carry each save from chapters to src/ and back, build, and reload the open page
	@$(BIN)/python live.py $(PORT) $(BIN)/jupyter-book build -q -W -n --keep-going .

serve: book ## build, and serve the book on this machine: http://127.0.0.1:8000 (or PORT=...)
	@echo "The book is at http://127.0.0.1:$(PORT)/, until you press Ctrl-C"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html 2>/dev/null

check: venv ## is src/ what the chapters say? then lint and types
	@$(BIN)/python tangle.py check
	@$(BIN)/ruff check -q
	@$(BIN)/mypy

site-test: book site-venv ## build, and test the site in Chromium
	@$(BIN)/python -m pytest -m site tests/site

bench: venv ## measure what must be fast
	@for program in benchmarks/*.py; do PYTHONPATH=src:. $(BIN)/python $$program || exit 1; done

evidence: ## run the long experiments, those at missing seeds only (hours)
	@PYTHONPATH=src:book $(PYTHON) -m evidence

clean: ## remove all that was built, .venv excepted
	@rm -rf _build .pytest_cache .hypothesis .mypy_cache .ruff_cache

# A lock that was installed is kept in .venv: where it differs from ours, ours is installed.
venv:
	@test -n "$(PYTHON)" || { echo "Policywerk needs Python 3.11 or newer; install one, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is not Python 3.11 or newer" >&2; exit 1; }
	@$(BIN)/python -c '' 2>/dev/null && cmp -s requirements.lock .venv/requirements.lock || { \
		echo "setting up .venv (about a minute, once)"; \
		$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || { \
			rm -rf .venv; echo "Python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }; \
		$(PIP) -r requirements.lock && cp requirements.lock .venv/; }

site-venv: venv
	@cmp -s requirements-site.lock .venv/requirements-site.lock || { \
		$(PIP) -r requirements-site.lock && cp requirements-site.lock .venv/; }
	@$(BIN)/python tests/site/browser.py
