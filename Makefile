# Everything that a developer or CI types. Each target sets up what it needs in .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test lint fmt bench torture readme clean

demo: $(READY)                  ## curate a tiny world, offline, and look at what came of it
	$(BIN)/curate demo --root build/demo

test: $(READY) lint             ## lint, types, contracts, tests, coverage
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=90 $(ARGS)

lint: $(READY)                  ## style, types and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fmt: $(READY)                   ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: bench-engine bench-plan bench-decode bench-fetch bench-grounding bench-tokens bench-mix bench-place bench-export bench-as_mix ## every benchmark; each prints a table and writes build/bench/NAME.json

bench-grounding: bench-boxes bench-flip bench-words ## boxes, flips, codecs, lint and convert

bench-%: $(READY)
	$(BIN)/python tests/benchmarks/bench_$*.py $(ARGS)

torture: $(READY)               ## SIGKILL at forty random points of an ingest, drivers and workers, and resume
	CURATE_KILLS=40 $(BIN)/python -m pytest tests/faults/test_torture.py $(ARGS)

readme: $(READY)                ## put the figures of build/bench into README.md
	$(BIN)/python tests/benchmarks/readme.py

clean:
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*

# uv comes from pip, everything else through uv: pinned by constraints.txt, bytecode compiled for Ray's workers.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "setting up .venv: about 6 GB, a minute or so"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python \
		--constraint constraints.txt --build-constraint constraints.txt --editable . --group dev
	touch $(READY)
