# One entry for everything. `make demo` and `make test` set up what they need; CI calls `make test`.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.PHONY: install check format test oldest sanitize demo bench papers docs golden clean

BIN := .venv/bin
INSTALLED := .venv/.installed
WORKERS ?= 2
RECENT = import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c '$(RECENT)' 2>/dev/null && echo $$python && break; done)

# The kernels are built beside their sources, and again when one of these changes; without a compiler there are none.
KERNELS := build/kernels/.installed
KERNEL_SOURCES := CMakeLists.txt $(wildcard src/carousel/cells/*.py $(foreach end,cpp h,src/carousel/ops/cpu/*.$(end) src/carousel/decoding/*.$(end)))
COMPILER := $(firstword $(foreach name,$(CXX) c++ clang++,$(shell command -v $(name))))
CMAKE = PATH="$(CURDIR)/$(BIN):$$PATH" cmake
CONFIGURE = -S . -G Ninja -DCMAKE_CXX_COMPILER=$(COMPILER) -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
export CMAKE_BUILD_PARALLEL_LEVEL ?= 2

install: $(INSTALLED) $(KERNELS)

$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "carousel needs Python 3.11 or newer; say where it is: make PYTHON=..."; exit 1; }
	rm -rf $(dir $(KERNELS))
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable '.[all,papers,test,dev]' \
		--config-settings editable.mode=inplace --config-settings wheel.cmake=false --config-settings wheel.py-api=py3
	@touch $@

$(KERNELS): $(INSTALLED) $(KERNEL_SOURCES)
	@mkdir -p $(@D)
ifeq ($(COMPILER),)
	@echo "no C++ compiler: carousel runs without its kernels"
else
	$(CMAKE) $(CONFIGURE) -B $(@D) --log-level=WARNING
	$(CMAKE) --build $(@D)
	$(CMAKE) --install $(@D) --prefix src
endif
	@touch $@

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What Triton interprets runs by itself: its interpreter has to be asked for before anything imports Triton.
INTERPRETED := tests/ops/triton/test_agreement.py tests/ops/triton/test_step_in_use.py tests/benchmarks/test_gpu.py

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal $(addprefix --ignore=,$(INTERPRETED))
	TRITON_INTERPRET=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS) --dist worksteal $(INTERPRETED)

# The kernels once more with the oldest Triton that they are for, which recent torch brings too, beside the one installed.
OLDEST := 3.6.0
oldest: install
	$(BIN)/python -m pip install --quiet --no-deps --upgrade --target build/triton triton==$(OLDEST)
	PYTHONPATH=build/triton $(BIN)/pytest -n $(WORKERS) $(addprefix tests/ops/triton/test_,$(addsuffix .py,compiles launches driver))

# The tests of all that is compiled, under the sanitizers, on a copy of the package that holds a build with each. No .pth file is read
# (-S), so that the copy is what is imported. What runs on an emulated ARM is another program. After a fork the address
# sanitizer's own allocator may wait for ever for a lock that another thread held, so that one test is not for it.
COMPILED := tests/ops/cpu tests/ops/test_population.py tests/ops/test_transducer.py tests/decoding \
	tests/training/test_online.py tests/training/test_online_kalman.py tests/training/test_trials.py
sanitize: sanitize-address,undefined sanitize-thread

sanitize-%: install
	rm -rf build/$@ && mkdir -p build/$@/site && cp -r src/carousel build/$@/site
	$(CMAKE) $(CONFIGURE) -B build/$@ --log-level=WARNING -DCAROUSEL_SANITIZE=$*
	$(CMAKE) --build build/$@
	$(CMAKE) --install build/$@ --prefix build/$@/site
	LD_PRELOAD="$(foreach name,$(RUNTIMES_$*),$(shell $(COMPILER) -print-file-name=$(name)))" OMP_NUM_THREADS=2 \
		ASAN_OPTIONS=detect_leaks=0 TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1 \
		PYTHONPATH=build/$@/site:$(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') \
		$(BIN)/python -S -m pytest -p no:cacheprovider -q $(COMPILED) --ignore tests/ops/cpu/test_arm.py $(UNFIT_$*)

RUNTIMES_address,undefined := libasan.so libubsan.so libstdc++.so
UNFIT_address,undefined := --deselect tests/ops/cpu/test_threads.py::test_after_a_fork
RUNTIMES_thread := libtsan.so libstdc++.so

demo: install
	$(BIN)/carousel fit forecast src/carousel/data/sets/co2_weekly.csv --target ppm --horizon 26 \
		--nan mask --out runs/demo --force

bench: install
	$(BIN)/python -m benchmarks

papers: install
	OMP_NUM_THREADS=1 $(BIN)/python -m papers --workers $(WORKERS)

docs: install
	$(BIN)/python docs/generate.py

golden: install
	CAROUSEL_WRITE_GOLDEN=1 $(BIN)/pytest -q tests/test_house.py -k golden

clean:
	rm -rf .venv build dist runs .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests docs benchmarks papers -name __pycache__ -type d -prune -exec rm -rf {} +
