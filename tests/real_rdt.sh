#!/usr/bin/env bash
# RDT's own classes, with the releases that it pins, against our head: ./tests/real_rdt.sh [REPOSITORY]
# Makes tests/models/rdt_reference.safetensors anew, then runs the tests that compare with it. REPOSITORY: where RDT's code is
# cloned from; default: its own. Needs the network and 6 GB under TMPDIR for a throwaway venv, so test.sh leaves it out.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=${1:-https://github.com/thu-ml/RoboticsDiffusionTransformer}
away=$(mktemp -d)
trap 'rm -rf "$away"' EXIT
git clone --quiet "$repository" "$away/rdt"
git -C "$away/rdt" checkout --quiet deb71d82278780d83253a28d9b904085559be400
python3 -m venv "$away/venv"
"$away/venv/bin/pip" install --quiet torch==2.1.0 torchvision==0.16.0 timm==1.0.3 diffusers==0.27.2 huggingface_hub==0.23.5 "numpy<2"
PYTHONPATH=$away/rdt "$away/venv/bin/python" tests/real_rdt.py tests/models/rdt_reference.safetensors
./launch/test.sh -q tests/models/test_rdt.py
