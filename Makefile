# Everything a person or CI does here. `make` alone lists it.
.PHONY: help demo lab test bench lint format lock screenshot clean tools browser

VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# A tool that looks for newer versions of itself would reach outside.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:
	@echo "make demo   run a notebook through a real local Kueue, start to end"
	@echo "make lab    JupyterLab on the local cluster, ready to use"
	@echo "make test   all tests; ARGS='-k name' narrows them"
	@echo "make bench  measure against stock jupyter-scheduler; ARGS=--write renews docs/benchmarks.md"
	@echo "make lint   formatting, types, layers, spelling"
	@echo "make lock   compile requirements/*.txt anew"
	@echo "make screenshot  take the README's picture anew"

demo: $(VENV)/.lab
	python examples/demo.py

lab: $(VENV)/.lab
	jupyter kueue local up
	eval "$$(jupyter kueue local env)" && \
	  jupyter lab --ServerApp.root_dir=examples $$([ "$$(id -u)" = 0 ] && echo --allow-root)

test: $(VENV)/.test browser
	python -m pytest -n 2 --dist loadfile $(ARGS)

bench: $(VENV)/.test
	python benchmarks/run.py $(ARGS)

lint: $(VENV)/.test
	ruff format --check .
	ruff check .
	mypy
	lint-imports --no-cache
	codespell jupyter_kueue tests docs examples benchmarks README.md CHANGELOG.md CONTRIBUTING.md

format: $(VENV)/.test
	ruff format .
	ruff check --fix .

lock: $(VENV)/.test
	scripts/lock

screenshot: $(VENV)/.test browser
	scripts/screenshot

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results

tools:
	@scripts/check-tools

# The marker files are newer than what they were installed from, or it is installed again.
$(VENV)/.bootstrap: requirements/bootstrap.txt | tools
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.lab: $(VENV)/.bootstrap requirements/lab.txt pyproject.toml jupyter_kueue/_version.py
	uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
	  -r requirements/lab.txt
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@# An editable install leaves out the file that switches the server extension on.
	@install -D -m 644 etc/jupyter/jupyter_server_config.d/jupyter_kueue.json \
	  $(VENV)/etc/jupyter/jupyter_server_config.d/jupyter_kueue.json
	@scripts/check-go $(BIN)
	@touch $@

$(VENV)/.test: $(VENV)/.lab requirements/test.txt
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/test.txt
	@touch $@

browser:
	@scripts/install-browser
