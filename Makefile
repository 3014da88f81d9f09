# The commands of the book. Each sets up .venv by itself, once, from the locked requirements.

PORT ?= 8000
BIN := .venv/bin

.PHONY: help book test watch serve check site-test bench evidence clean venv site-venv

help: ## show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

book: venv ## tangle, run and build the book into _build/html
	@$(BIN)/python tangle.py
	@$(BIN)/jupyter-book build -q -W -n --keep-going . 2>&1 >/dev/null
	@echo "The book is built; open _build/html/index.html"

test: venv ## run the quick tests; none needs a browser
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
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 -m site tests/site

bench: venv ## measure what must be fast
	@for program in benchmarks/bench_*.py; do PYTHONPATH=src:. $(BIN)/python $$program || exit 1; done

evidence: venv ## run the long experiments, those at missing seeds only (hours)
	@PYTHONPATH=src:book $(BIN)/python -m evidence

clean: ## remove all that was built, .venv excepted
	@rm -rf _build .pytest_cache .hypothesis .mypy_cache .ruff_cache

# PYTHON=... names another Python than the newest that is found.
venv:
	@PYTHON="$(PYTHON)" .ci/venv requirements.lock

site-venv: venv
	@.ci/venv requirements-site.lock
	@$(BIN)/python tests/site/browser.py
