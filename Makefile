# make demo    installs what it needs into .venv and runs the main job on the built-in image
# make demo-ai the same with two small networks, beside the exact truth; installs PyTorch, nnU-Net and MONAI
# make test    the same environment with the test tools, then the tests (without the slow ones)
# make help    all commands
#
# PYTHON=python3.12 make test    with another interpreter (make clean first: the environments keep theirs)

PYTHON ?= python3
VENV := .venv
SLICER_VENV := .venv-slicer

# What Slicer 5.12 brings (SuperBuild/External_python-*.cmake of its branch 5.12, 2026-07-22):
# the core and scene rooms must also work with exactly these.
SLICER_PACKAGES := numpy==2.4.6 scipy==1.17.1 SimpleITK==2.5.5 pydicom==3.0.2 Pillow==12.2.0

# Tests run TotalSegmentator and nnU-Net. torch comes first and stays, or their own dependencies exchange it.
TORCH ?= torch==2.13.0

APT_LINE := apt-get install $(strip $(shell tr '\n' ' ' < .ci/apt-packages))

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# Without an X server VTK draws through EGL; told so, it does not try X first and warn.
ifeq ($(shell uname -s),Linux)
ifeq ($(strip $(DISPLAY)),)
export VTK_DEFAULT_OPENGL_WINDOW ?= vtkEGLRenderWindow
endif
endif

TEST_ENVIRONMENT := OMP_NUM_THREADS=1
# Files of tests run beside each other, one file always in one process: what a file sets up once is set up once.
# PARALLEL= runs all in one process. More than four gain little: engines and workers start processes of their own.
PARALLEL ?= --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: help demo demo-ai test test-all test-slicer-env bench bench-full bench-gpu lint cmake-lists clean
.DEFAULT_GOAL := help

help:
	@echo "make demo             run the main job on the built-in image; results in demo-results"
	@echo "make demo-ai          two digital patients by two small networks; results in demo-ai-results"
	@echo "make test             tests, without the slow ones"
	@echo "make test-all         all tests"
	@echo "make test-slicer-env  unit and scene tests with the packages of Slicer 5.12 (Python 3.11 or later)"
	@echo "make bench            benchmark figures, one a line, in 15 to 25 minutes"
	@echo "make bench-full       all benchmark figures"
	@echo "make bench-gpu        figures of networks on a CUDA GPU; says so where there is none"
	@echo "make lint             ruff"
	@echo "make cmake-lists      write the file lists of the modules' CMakeLists.txt"
	@echo "make clean            remove the environments and what the commands wrote"

demo: $(VENV)/.installed
	$(VENV)/bin/oncosegment demo --output demo-results --overwrite

demo-ai: $(VENV)/.installed-ai
	$(VENV)/bin/oncosegment demo --ai --output demo-ai-results --overwrite

test: $(VENV)/.installed-dev
	$(TEST_ENVIRONMENT) $(VENV)/bin/python -m pytest $(PARALLEL) -m "not slow"

test-all: $(VENV)/.installed-dev
	$(TEST_ENVIRONMENT) ONCOSEGMENT_EXAMPLES=exploring $(VENV)/bin/python -m pytest $(PARALLEL)

test-slicer-env:
	@if $(PYTHON) -c 'import sys; sys.exit(sys.version_info >= (3, 11))'; then \
	  echo "make test-slicer-env: nothing was tested; numpy 2.4.6 needs Python 3.11 or later and $(PYTHON) is older."; \
	else \
	  $(MAKE) --no-print-directory run-slicer-env; \
	fi

.PHONY: run-slicer-env
run-slicer-env: $(SLICER_VENV)/.installed
	$(TEST_ENVIRONMENT) $(SLICER_VENV)/bin/python -m pytest $(PARALLEL) -m "not slow" Testing/unit Testing/integration

bench: $(VENV)/.installed-dev
	$(VENV)/bin/python Testing/benchmarks/run.py

bench-full: $(VENV)/.installed-dev
	$(VENV)/bin/python Testing/benchmarks/run.py --full

bench-gpu: $(VENV)/.installed-dev
	$(VENV)/bin/python Testing/benchmarks/gpu.py

lint: $(VENV)/.installed-dev
	$(VENV)/bin/python -m ruff check .

cmake-lists:
	$(PYTHON) Testing/tools/cmake_lists.py

clean:
	rm -rf $(VENV) $(SLICER_VENV) demo-results demo-ai-results bench-results build dist oncosegment.egg-info
	rm -rf .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The package is installed in place, so only a change of pyproject.toml or of the Makefile asks for a new install.
$(VENV)/.installed: pyproject.toml Makefile
	$(call make-environment,$(VENV))
	$(VENV)/bin/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-ai: pyproject.toml Makefile
	$(call install-torch)
	$(VENV)/bin/python -m pip install --quiet --constraint $(VENV)/constraints.txt --editable '.[ai]'
	$(VENV)/bin/python Testing/tools/heal_torchvision.py
	touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: pyproject.toml Makefile
	$(call install-torch)
	$(VENV)/bin/python -m pip install --quiet --constraint $(VENV)/constraints.txt --editable '.[dev,ai,nninteractive,keyring,cluster]'
	$(call install-sam)
	$(VENV)/bin/python Testing/tools/heal_torchvision.py
	touch $@ $(VENV)/.installed $(VENV)/.installed-ai

$(SLICER_VENV)/.installed: pyproject.toml Makefile
	$(call make-environment,$(SLICER_VENV))
	$(SLICER_VENV)/bin/python -m pip install --quiet --editable '.[dev]' $(SLICER_PACKAGES)
	touch $@

# PyTorch first, and fixed, or what comes after exchanges it.
define install-torch
$(call make-environment,$(VENV))
$(VENV)/bin/python -m pip install --quiet $(TORCH)
$(VENV)/bin/python -c "import torch; print('torch==' + torch.__version__.split('+')[0])" > $(VENV)/constraints.txt
endef

# Models of slices by clicks. sam2 is built beside this PyTorch: pip would fetch another one to build it in isolation.
define install-sam
SAM2_BUILD_CUDA=0 $(VENV)/bin/python -m pip install --quiet --no-build-isolation --constraint $(VENV)/constraints.txt --editable '.[sam]'
endef

# Makes the environment $(1) unless it is there; otherwise one sentence says what the machine lacks.
define make-environment
@command -v $(PYTHON) >/dev/null || { \
  echo "Python was not found as '$(PYTHON)'. On Debian or Ubuntu, as root: $(APT_LINE)" >&2; exit 1; }
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
  echo "'$(PYTHON)' is older than Python 3.10; name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
  echo "'$(PYTHON)' cannot make environments. On Debian or Ubuntu, as root: $(APT_LINE)" >&2; exit 1; }
@test -x $(1)/bin/pip || $(PYTHON) -m venv --clear $(1)
endef
