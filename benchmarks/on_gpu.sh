#!/bin/sh
# All figures of a published shape on one GPU, in at most 8 minutes. Not run so far: no GPU was to be had.
#
#     sh benchmarks/on_gpu.sh OUT [DTYPE]
#
# OUT is a folder for the figures; DTYPE is exact if not given. It needs torch with CUDA, an environment with
# the project in it, 64 GB of disk and a GPU of 80 GB. Every step has a limit of its own, so that a slow one takes
# no time from the others, and writes its files before the next one begins.
set -u
out=${1:?"a folder for the figures"}
dtype=${2:-exact}
mkdir -p "$out"
cd "$(dirname "$0")/.."

# The whole map, 784 heads by 50 trials; the slow ways on one head of each layer and two trials, and scaled.
timeout 110 python benchmarks/mediation.py --subject qwen2-vl-7b --device cuda --dtype "$dtype" \
    --sample 1 --few 2 --repeats 1 --json "$out/qwen2-vl-7b-$dtype.json" >"$out/mediation.txt" 2>&1
echo "mediation: $?" | tee -a "$out/status.txt"

timeout 130 python benchmarks/ledger.py --subject qwen2-vl-7b --device cuda --dtype "$dtype" --trials 48 \
    --out "$out/ledger-qwen2-vl-7b.md" >"$out/ledger.txt" 2>&1
echo "ledger: $?" | tee -a "$out/status.txt"

# Writing the checkpoint takes half a minute of it.
timeout 240 python benchmarks/scorecard.py --subject qwen2-vl-7b --device cuda --trials 24 \
    --dtype "$dtype" --keep "${TMPDIR:-/tmp}/qwen2-vl-7b-shaped" --out "$out/scorecard-qwen2-vl-7b.md" \
    >"$out/scorecard.txt" 2>&1
echo "scorecard: $?" | tee -a "$out/status.txt"
