# Everything a person or CI does here. `make` alone lists it.
.PHONY: help demo lab test test-unit chaos bench lint lint-python lint-labextension format lock screenshot clean tools browser

VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Tools must not look for newer versions of themselves on the network.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:
	@echo "make demo   run a notebook through a real local Kueue, start to end"
	@echo "make lab    JupyterLab on the local cluster, ready to use"
	@echo "make test   all tests; ARGS='-k name' narrows those in Python"
	@echo "make test-unit  the pure tests alone, in seconds"
	@echo "make chaos  runs of all kinds under random faults; ARGS='--minutes 20 --seed 7'"
	@echo "make bench  measure against stock jupyter-scheduler; ARGS=--write renews docs/benchmarks.md"
	@echo "make lint   formatting, types, layers, spelling, generated files"
	@echo "make lock   compile requirements/*.txt anew"
	@echo "make screenshot  take the README's picture anew"

demo: $(VENV)/.lab
	python examples/demo.py

lab: $(VENV)/.labextension
	jupyter kueue local up
	eval "$$(jupyter kueue local env)" && \
	  jupyter lab --ServerApp.root_dir=examples $$([ "$$(id -u)" = 0 ] && echo --allow-root)

test: $(VENV)/.test $(VENV)/.labextension browser
	cd labextension && jlpm test
	@# More than there are cores: tests wait most of their time.
	python -m pytest -n 4 --dist loadfile --no-loadscope-reorder --durations=40 $(ARGS)

test-unit: $(VENV)/.test
	python -m pytest --pure -q -n 2 $(ARGS)

chaos: $(VENV)/.test
	python -m tests.chaos $(ARGS)

bench: $(VENV)/.test
	python benchmarks/run.py $(ARGS)

lint: lint-python lint-labextension

lint-python: $(VENV)/.test
	ruff format --check .
	ruff check .
	mypy
	lint-imports --no-cache
	scripts/sentences --check
	scripts/reference --check
	codespell jupyter_kueue local_cluster tests ui-tests conftest.py docs examples benchmarks README.md CHANGELOG.md CONTRIBUTING.md

lint-labextension: $(VENV)/.labextension
	scripts/rest-types --check
	cd labextension && jlpm lint

format: $(VENV)/.test $(VENV)/.labextension
	ruff format .
	ruff check --fix .
	cd labextension && jlpm format

lock: $(VENV)/.test
	scripts/lock

screenshot: $(VENV)/.test browser
	scripts/screenshot

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results \
	  labextension/node_modules labextension/lib labextension/tsconfig.tsbuildinfo jupyter_kueue/labextension

tools:
	@scripts/check-tools

# A package set is installed again if its source is newer than its marker file.
$(VENV)/.bootstrap: requirements/bootstrap.txt | tools
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/bootstrap.txt
	@touch $@

$(VENV)/.lab: $(VENV)/.bootstrap requirements/lab.txt pyproject.toml jupyter_kueue/_version.py \
  local_cluster/pyproject.toml local_cluster/jupyter_kueue_local/_version.py
	uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes \
	  -r requirements/lab.txt
	@# Through the link to the built labextension, files would be installed into the source.
	@rm -rf $(VENV)/share/jupyter/labextensions/jupyter-kueue
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation \
	  -e . -e local_cluster
	@# An editable install leaves out the files that switch server extension and backend on.
	@install -D -m 644 etc/jupyter/jupyter_server_config.d/jupyter_kueue.json \
	  $(VENV)/etc/jupyter/jupyter_server_config.d/jupyter_kueue.json
	@install -D -m 644 etc/jupyter/jupyter_jupyter_scheduler_config.py \
	  $(VENV)/etc/jupyter/jupyter_jupyter_scheduler_config.py
	@scripts/check-go $(BIN)
	@touch $@

LABEXTENSION := $(wildcard labextension/*.json labextension/yarn.lock labextension/.yarnrc.yml) \
  $(shell find labextension/schema labextension/src labextension/style -type f)

$(VENV)/.labextension: $(VENV)/.lab $(LABEXTENSION) scripts/build-labextension
	@echo "Building the panel for JupyterLab: about a minute the first time, seconds after that"
	@scripts/build-labextension
	@# An editable install leaves out shared files: JupyterLab finds the built ones through a link.
	@mkdir -p $(VENV)/share/jupyter/labextensions
	@rm -rf $(VENV)/share/jupyter/labextensions/jupyter-kueue
	@ln -s $(CURDIR)/jupyter_kueue/labextension $(VENV)/share/jupyter/labextensions/jupyter-kueue
	@touch $@

$(VENV)/.test: $(VENV)/.lab requirements/test.txt
	uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/test.txt
	@touch $@

browser:
	@scripts/install-browser
