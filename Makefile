# What a newcomer types. Each target installs what it needs the first time.
# `exec`: a signal to make reaches the program, not a shell in between.
.PHONY: setup run test faults check lint bench lock clean

# Without compiled files each of the hundreds of processes that tests start compiles all anew.
unexport PYTHONDONTWRITEBYTECODE

setup: .venv/.test-stamp

run: .venv/.run-stamp
	@exec .venv/bin/fieldgate demo $(ARGS)

# Three at a time: most of them wait for something. One after the other: make test ARGS="-n 0"
pytest = .venv/bin/pytest -n 3 --dist worksteal

test: .venv/.test-stamp
	@exec $(pytest) $(ARGS)

# Breaks everything on purpose, and judges by sets what became of each alarm: docs/reliability.md
faults: .venv/.faults-stamp
	@exec .venv/bin/python -m tests.faults $(ARGS)

# The fast half of CI, in under a minute.
check: lint
	@$(pytest) -m "not slow" $(ARGS)

# The two slow ones side by side.
lint: .venv/.test-stamp
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/lint-imports & rooms=$$!; .venv/bin/mypy && wait $$rooms

# How fast it is, beside references: docs/performance.md. One bench: make bench ARGS="alarm"
bench: .venv/.test-stamp
	@exec .venv/bin/fieldgate bench $(ARGS)

# Newer versions of everything: make lock ARGS=--upgrade
lock: .venv/.test-stamp
	@.venv/bin/pip install --quiet uv
	@.venv/bin/uv pip compile pyproject.toml --all-extras --python-version 3.11 --universal \
		--quiet --custom-compile-command "make lock" --output-file requirements.lock $(ARGS)

clean:
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is newer than what it was made from: nothing to set up.
.venv/.run-stamp .venv/.test-stamp .venv/.faults-stamp: .venv/.%-stamp: pyproject.toml requirements.lock scripts/setup.sh
	@scripts/setup.sh $*
