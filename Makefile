# make setup   environment in .venv, locked versions, compiler and server checked
# make demo    the whole road: events -> train -> build -> validate -> serve -> track -> report
# make test    all tests; make test-fast leaves out those that train, compile or serve at length
# make sweep   random trained networks, bit for bit: make sweep NETWORKS=3000 SEED=1000
# make lint    static checks only
# make hooks   the same and more before each commit (pre-commit)
# make coverage  lines and branches that the fast tests reach; coverage/index.html names the others
# make wheel   source distribution and wheel in dist/
#
# PIP_ARGS goes to pip: elsewhere torch without CUDA needs
#   make setup PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3.11
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 2
ARGS ?=
OUT ?= runs/demo
NETWORKS ?= 300
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup tools browser demo test test-fast sweep lint hooks coverage format diagram docs lock wheel clean

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

setup: tools $(STAMP)

tools:
	@command -v g++ >/dev/null || { \
	  if [ "$$(id -u)" = 0 ]; then DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq g++ </dev/null; \
	  else echo "g++ is missing; run: sudo apt-get install g++" >&2; exit 1; fi; }
	@command -v dot >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && apt-get update -qq </dev/null && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq graphviz </dev/null; then :; \
	  else echo "graphviz is missing: hitfabric describe --svg will not draw; run: sudo apt-get install graphviz" >&2; fi; }
	@command -v $(PYTHON) >/dev/null || { \
	  echo "$(PYTHON) is missing; run: sudo apt-get install python3.11 python3.11-venv, or pass PYTHON=..." >&2; exit 1; }

$(STAMP): requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV): some minutes, without a word"
	$(BIN)/python -m pip install --quiet --no-input $(PIP_ARGS) "setuptools>=77" wheel -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-input --no-deps --no-build-isolation --editable .
	$(BIN)/python -c "from hitfabric.fpga_backend.triton_install import find_triton; print(find_triton())"
	touch $@

# Reports are looked at in a real browser; only tests need one.
browser:
	@command -v chromium >/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && apt-get update -qq </dev/null && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium </dev/null >/dev/null; then :; \
	  else echo "chromium is missing: reports are not tested in a browser; run: sudo apt-get install chromium" >&2; fi; }

demo: setup
	$(BIN)/hitfabric demo --out $(OUT) $(ARGS)

test: setup browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope $(ARGS)

test-fast: setup browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope -m "not slow" $(ARGS)

sweep: setup
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope tests/emulation/test_random_networks.py \
	  --sweep-networks $(NETWORKS) --sweep-seed $(SEED) $(ARGS)

lint: setup
	$(BIN)/python -m pytest tests/test_style.py $(ARGS)

hooks: setup
	$(BIN)/pre-commit install

coverage: setup browser
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope -m "not slow" --cov --cov-report=html:coverage --cov-report=term $(ARGS)

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	git ls-files '*.c' '*.cc' '*.cpp' '*.h' | xargs $(BIN)/clang-format -i

diagram: tools
	dot -Tsvg docs/figures/rooms.dot > docs/figures/rooms.svg

docs: setup
	$(BIN)/mkdocs build --strict --site-dir build/site

lock: setup
	{ sed -n '/^#/p' requirements.lock; $(BIN)/python -m pip freeze --exclude-editable --exclude setuptools --exclude wheel \
	  | sed 's/+cpu$$//'; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

wheel: setup
	$(BIN)/python -m build --no-isolation --outdir dist .

clean:
	rm -rf $(VENV) build coverage .coverage* dist runs .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} + -o -name '*.egg-info' -prune -exec rm -rf {} +
