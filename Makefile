# make test    set up .venv and run every test that this machine can run
# make demo    a clip, its depth and a camera move -> a prior video, headless in ComfyUI where it can be had
# make comfyui ComfyUI with this pack linked into it
# make bench   the tables and figures of the README
#
# COMFYUI_PATH=/path/to/ComfyUI   where ComfyUI stands or is to stand (default: ~/comfy/ComfyUI, as comfy-cli)
# PYTHON=python3.12               the interpreter .venv is made with, 3.10 or newer

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

.PHONY: test demo comfyui bench lint clean
.DELETE_ON_ERROR:

test: $(READY)
	@echo "== Tests ($(if $(FOUND),with ComfyUI at $(COMFYUI_PATH),library alone: no ComfyUI at $(COMFYUI_PATH)))"
	$(BIN)/ruff check .
	$(BIN)/python -m pytest

$(READY): pyproject.toml requirements.txt $(if $(FOUND),$(COMFYUI_PATH)/requirements.txt)
	@echo "== Setting up .venv for $(KIND) (once; a few minutes, up to 6 GB)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv .venv
	$(if $(FOUND),$(BIN)/pip install -q $(COMFYUI_TORCH))
	$(if $(FOUND),$(BIN)/pip install -q -r "$(COMFYUI_PATH)/requirements.txt")
	$(BIN)/pip install -q -e ".[standalone,estimators,test]"
	@# opencv-python needs libGL, which bare servers lack; the headless build is the same module without it.
	@$(BIN)/python -c 'import cv2' 2>/dev/null || $(BIN)/pip install -q --force-reinstall --no-deps opencv-python-headless
	@touch $@

lint: $(READY)
	$(BIN)/ruff check .

clean:
	rm -rf .venv demo artifacts build dist *.egg-info
