.PHONY: help test lint format build ci docs results-quick

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 12

test:  ## run the tests
	pytest

lint:  ## ruff and mypy --strict
	ruff check .
	ruff format --check .
	mypy

format:  ## format the code
	ruff check --fix .
	ruff format .

build:  ## build the wheel
	python -m build --wheel --no-isolation

ci:  ## what continuous integration runs
	bash .ci/run

results-quick:  ## the orders of the first results table, in minutes
	ma2ml benchmark --grid experiments/quick.yaml --out runs/results-quick

docs:  ## build the documentation into site/ (extra docs)
	mkdocs build --strict
