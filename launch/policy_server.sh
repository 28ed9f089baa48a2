#!/usr/bin/env bash
# A LeRobot policy for the robot and for any client of openpi: policy_server.sh --lerobot FOLDER|ORG/NAME[@REV]. --help lists all flags.
# lerobot gets an environment of its own, beside ours and without it: its list of packages is not ours.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lerobot=0.4.4   # the newest for Python 3.11
environment=${VIDEO2ACT_LEROBOT:-$repository/.venv-lerobot}   # another place: a larger disk, a test
export PYTHONPATH=$repository PYTHONSAFEPATH=1

. "$repository/launch/find_python.sh"

tell_size() {  # FOLDER: a line every ten seconds, where there is no terminal for pip's own bars
    local nap
    trap 'kill "$nap"; exit' TERM
    while sleep 10 & nap=$!; wait "$nap"; do
        echo "video2act: installing, $(du -sh "$1" 2>/dev/null | cut -f1) so far"
    done
}

pip_install() {  # ARGUMENT...
    local pip=("$building/bin/python" -m pip install --disable-pip-version-check) teller status=0
    if [ -t 2 ]; then
        "${pip[@]}" "$@" || status=$?
    else
        tell_size "$building" &
        teller=$!
        "${pip[@]}" --quiet "$@" || status=$?
        kill "$teller" && wait "$teller" || true
    fi
    return $status
}

# Built beside its place and renamed when all of it is there: an interrupted set-up is no environment, and the next start repeats it.
set_up() {
    local building=$environment.new
    mkdir -p "$(dirname "$environment")"
    exec 9>"$environment.lock"   # let go of at the end, and held on to by no child
    flock --nonblock 9 || { echo "video2act: waiting for another set-up of $environment"; flock 9; }
    if is_set_up; then exec 9>&-; return; fi
    echo "video2act: setting up lerobot $lerobot in $environment, once (500 MB to fetch and 2 GB of disk; 3 GB and 8 GB with torch for CUDA)"
    rm -rf "$building"
    "$interpreter" -m venv "$building" 9>&-
    echo "video2act: 1 of 2: $(grep -c == "$repository/launch/lerobot.txt") packages and what they need"
    pip_install --requirement "$repository/launch/lerobot.txt" 9>&-
    echo "video2act: 2 of 2: lerobot itself"
    pip_install --no-deps "lerobot==$lerobot" 9>&-
    echo "$wanted" >"$building/installed-for"
    rm -rf "$environment"
    mv "$building" "$environment"
    echo "video2act: set up, $(du -sh "$environment" | cut -f1)"
    exec 9>&-
} >&2

is_set_up() { [ "$(cat "$environment/installed-for" 2>/dev/null)" = "$wanted" ]; }

interpreter=$(find_python) || exit 2
for word in "$@"; do
    case $word in -h | --help) exec "$interpreter" -m runtime.lerobot.flags --help ;; esac
done
"$interpreter" -m runtime.lerobot.flags "$@"   # a wrong line waits for no set-up
wanted=$(cat "$repository/launch/lerobot.txt" <(echo "$lerobot") | sha256sum)
is_set_up || set_up
exec "$environment/bin/python" -m runtime.lerobot.command "$@"
