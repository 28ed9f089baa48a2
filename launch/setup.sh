# Finds or makes everything the programs need. Sourced by the other scripts; `extras` names optional parts.
# `commands` names programs that are needed besides. It leaves $python and $repository set. Nothing is installed twice: a stamp in the venv names what was installed for which lock.
set -euo pipefail
called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

system_libraries=(
    libEGL.so.1:libegl1 libEGL_mesa.so.0:libegl-mesa0 libGL.so.1:libgl1 libOpenGL.so.0:libopengl0
    swrast_dri.so:libgl1-mesa-dri libusb-1.0.so.0:libusb-1.0-0
)

missing_packages() {
    local entry file libraries program
    for program in ${commands:-}; do
        command -v "$program" >/dev/null || echo "$program"
    done
    libraries=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p)  # whole, before it is searched: a reader that stops early makes a pipe fail
    for entry in "${system_libraries[@]}"; do
        file=${entry%%:*}
        [[ $libraries == *"$file "* ]] || compgen -G "/usr/lib/*/dri/$file" >/dev/null || echo "${entry##*:}"
    done
}

install_system_packages() {
    local packages
    packages=$(missing_packages | xargs)
    [ -z "$packages" ] && return
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "video2act: some system packages are missing; run this line once, then start again:" >&2
        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages" >&2
        exit 2
    fi
    echo "video2act: installing system packages: $packages"
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages
} >&2

find_python() {
    local candidate
    for candidate in "${VIDEO2ACT_PYTHON:-}" python3.11 python3 python3.12 python3.13 python3.14; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "video2act: no Python 3.11 or newer with venv found; install one (Debian: apt-get install python3 python3-venv)" \
        "or name it in VIDEO2ACT_PYTHON" >&2
    exit 2
}

installed_with() {  # STAMP EXTRA...: whether an installation of that lock had at least these extras
    local stamp=$1 file extra
    shift
    for file in .venv/installed-for*; do
        [ -f "$file" ] && [ "$(cat "$file")" = "$stamp" ] || continue
        for extra in "$@"; do [[ "$file-" == *"-$extra-"* ]] || continue 2; done
        return 0
    done
    return 1
}

install_python_packages() {
    local extras stamp_file stamp interpreter
    extras=$(IFS=,; echo "$*")  # "dev,robot", as pip wants it
    stamp_file=.venv/installed-for${extras:+-${extras//,/-}}
    stamp=$(cat pyproject.toml requirements.lock | sha256sum)
    if installed_with "$stamp" ${extras//,/ }; then return; fi
    if [ ! -x .venv/bin/python ]; then
        interpreter=$(find_python) || exit 2
        "$interpreter" -m venv .venv
    fi
    echo "video2act: installing Python packages (minutes on a new machine, nothing on the next start)"
    # torch first and alone, at its pin: whichever build of it the machine offers then satisfies everything that follows.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep '^torch==' requirements.lock)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".${extras:+[$extras]}"
    echo "video2act: compiling the arms' limits"
    .venv/bin/python -c "import runtime.arms.limits"
    echo "$stamp" >"$stamp_file"
} >&2

# Pictures and conditions are allocated thousands of times a minute: from a kept heap, not as fresh pages of the kernel.
export MALLOC_MMAP_THRESHOLD_=67108864 MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_TOP_PAD_=16777216

install_system_packages
install_python_packages ${extras:-}
python=$PWD/.venv/bin/python repository=$PWD
# What somebody types is meant from where he is; a folder `runtime` or `models` there is not ours.
export PYTHONSAFEPATH=1
cd "$called_from"
