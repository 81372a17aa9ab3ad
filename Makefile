# make run   set up and answer a prompt with the built-in model
# make test  set up, then everything that CI runs

VENV ?= .venv
PYTHON ?= python3

.PHONY: run test soak clean

run: $(VENV)/.run
	$(VENV)/bin/gptoss run tiny "What can you do?"
	@echo "To chat: $(VENV)/bin/gptoss chat tiny"

test: $(VENV)/.dev
	VIRTUAL_ENV=$(abspath $(VENV)) scripts/check
	$(VENV)/bin/python -m pytest -q -m soak

soak: $(VENV)/.dev
	$(VENV)/bin/python -m pytest -q -m soak

# the stamps are newer than pyproject.toml when nothing has to be installed
$(VENV)/.run: pyproject.toml scripts/install
	VENV=$(VENV) PYTHON=$(PYTHON) scripts/install
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	VENV=$(VENV) PYTHON=$(PYTHON) scripts/install --dev
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache dist
