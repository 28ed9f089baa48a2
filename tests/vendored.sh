#!/usr/bin/env bash
# Compares the console's vendored files with those of their packages at npm: package by its integrity, file by its bytes. Needs npm
# and the network, so it is no test; tests/runtime/console/test_view.py compares the files with what is written down here.
set -euo pipefail
vendor=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../runtime/console/static/vendor")
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cd "$folder"
node -e '
    const fs = require("fs"), { createHash } = require("crypto"), { execFileSync } = require("child_process")
    const vendor = process.argv[1], rows = JSON.parse(fs.readFileSync(`${vendor}/vendor.json`))
    for (const { file, package: name, version, path, integrity } of rows) {
        const [packed] = JSON.parse(execFileSync("npm", ["pack", "--silent", "--json", `${name}@${version}`]))
        const digest = "sha512-" + createHash("sha512").update(fs.readFileSync(packed.filename)).digest("base64")
        execFileSync("tar", ["-xf", packed.filename])
        const same = fs.readFileSync(`package/${path}`).equals(fs.readFileSync(`${vendor}/${file}`))
        fs.rmSync("package", { recursive: true })
        console.log(`${file}: ${name} ${version}, ${path}: ${digest === integrity && same ? "same" : "DIFFERS"}`)
        if (digest !== integrity || !same) process.exitCode = 1
    }
' "$vendor"
