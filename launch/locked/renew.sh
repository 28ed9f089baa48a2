#!/usr/bin/env bash
# Writes the hashes of every package that requirements.lock pins anew, after a pin has changed; needs uv (pip install uv) and the
# network. build.txt: what builds ours; base.txt: what it runs on; uv.txt: what brings a Python where there is none; the others:
# what an extra adds. torch is left out: which build of it a machine gets, for which processor, is the machine's to choose; its
# version is pinned in requirements.lock.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
extras=(robot dev ray lora gymnasium mutation)
compile() {  # FILE ARGUMENTS...
    local file=$1
    shift
    uv pip compile --quiet --universal --python-version 3.11 --constraint requirements.lock --generate-hashes --no-header \
        --no-annotate --output-file "$file" "$@"
}

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
printf 'hatchling\neditables\n' | compile "$folder/build.txt" -
echo uv | compile "$folder/uv.txt" -
compile "$folder/base.txt" pyproject.toml
for extra in "${extras[@]}"; do compile "$folder/$extra.txt" pyproject.toml --extra "$extra"; done
# What only torch needs, for its own processor, comes with it; an entry is its first line and the hashes below.
awk -v into=launch/locked '
    FNR == 1 { file = FILENAME; sub(/.*\//, "", file); printf "" >(into "/" file) }
    /^[A-Za-z0-9]/ {
        name = $0; sub(/[=;].*/, "", name)
        other = name ~ /^(torch|triton|nvidia-.*|cuda-.*)$/ || /sys_platform == .(win32|emscripten|darwin)/
        mine = !other && !(name in base && file != "base.txt" && file != "build.txt" && file != "uv.txt")
        if (file == "base.txt" && !other) base[name]
    }
    mine { print >(into "/" file) }
' "$folder/base.txt" "$folder/build.txt" "$folder/uv.txt" $(printf "$folder/%s.txt " "${extras[@]}")
