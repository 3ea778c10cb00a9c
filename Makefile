# Every target does its own set-up: on a fresh machine only Python 3.11 and make are needed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt
MODE ?= sbs
ENGINE ?= preview
VIDEO ?=
SEED ?= 1
FILMS ?= 20
SEGMENTS ?= 20
CLIPS ?=
ROWS ?=

.PHONY: help
help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 8

.PHONY: demo
demo: $(VENV)/run $(if $(VIDEO),,demo/sample.mp4) ## Convert VIDEO=film.mp4 (or a rendered scene) in MODE=sbs with ENGINE=preview
	@mkdir -p demo
	@$(BIN)/python manage.py convert "$(or $(VIDEO),demo/sample.mp4)" demo \
		--mode "$(MODE)" --engine "$(ENGINE)"

.PHONY: run
run: $(VENV)/run ## The whole stack at http://localhost:8000
	@$(BIN)/python manage.py up

.PHONY: test
test: $(VENV)/dev ## The whole suite, in an order of its own for each SEED=1
	@$(BIN)/python -m pytest --numprocesses 3 --no-loadscope-reorder \
		--randomly-seed $(SEED) --durations 15

.PHONY: chaos
chaos: $(VENV)/dev ## Kill, double, drop and restart: SEED=1 FILMS=20 SEGMENTS=20
	@$(BIN)/python -m tests.chaos --seed $(SEED) --films $(FILMS) --segments $(SEGMENTS)

.PHONY: canvas
canvas: $(VENV)/dev ## Celery's own tests of chords, on SQS with our result backend
	@$(BIN)/python -m tests.canvas

.PHONY: bench
bench: $(VENV)/dev ## What things cost, against what others take: ROWS="pipeline media" for some
	@HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks $(ROWS)

.PHONY: quality
quality: $(VENV)/run ## Measure the right eye of every engine; CLIPS=folder adds films
	@HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.quality $(if $(CLIPS),--clips "$(CLIPS)")

.PHONY: check
check: $(VENV)/dev $(VENV)/checkov/done ## Style, types, imports, migrations, Django's checks, Terraform
	@$(MAKE) --jobs 2 --no-print-directory types terraform style rules

.PHONY: style types rules terraform
style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types:
	$(BIN)/mypy

rules:
	$(BIN)/lint-imports
	$(BIN)/python -W ignore manage.py makemigrations --check --dry-run
	DJANGO_SECURE=true DJANGO_SECRET_KEY=$$(head -c 40 /dev/urandom | base64) \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

terraform:
	$(BIN)/python -m tests.deploy

.PHONY: clean
clean: ## Remove the virtual environment; films and ledger in .stereospot stay
	rm -rf $(VENV)

demo/sample.mp4: | $(VENV)/run
	@mkdir -p demo
	@$(BIN)/python -m inference.scene $@.part && mv $@.part $@

$(VENV)/run: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what StereoSpot needs into $(VENV) (once) …"
	@$(PIP_INSTALL) --editable '.[inference]'
	@touch $@

$(VENV)/dev: $(VENV)/run
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch $@

# Only where Terraform is, for it looks at nothing else; in an environment of its own.
$(VENV)/checkov/done: deploy/terraform/checkov.txt | $(VENV)/run
	@if command -v terraform > /dev/null; then \
		echo "Installing checkov (once) …" \
		&& $(BIN)/python -m venv $(@D) \
		&& $(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
			--requirement deploy/terraform/checkov.txt; \
	else mkdir -p $(@D); fi
	@touch $@
