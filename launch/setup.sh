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
        echo "video2act: system packages are missing; run this command once, then repeat yours:" >&2
        echo "  sudo apt-get update && sudo apt-get install -y --no-install-recommends $packages" >&2
        exit 2
    fi
    echo "video2act: installing system packages: $packages"
    apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages
} >&2

. "$(dirname "${BASH_SOURCE[0]}")/find_python.sh"

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

# An installation that was broken off leaves a venv that starts but lacks something, whatever it was: it is made anew. What pip had
# fetched by then lies in its cache.
under_way=.venv/under-way

install_python_packages() {
    local extras stamp_file stamp interpreter lists extra
    extras=$(IFS=,; echo "$*")  # "dev,robot", as pip wants it
    stamp_file=.venv/installed-for${extras:+-${extras//,/-}}
    stamp=$(cat pyproject.toml requirements.lock launch/locked/*.txt | sha256sum)
    if [ ! -e "$under_way" ] && installed_with "$stamp" ${extras//,/ }; then return; fi
    exec 9<.   # let go of below, and by no child held on to
    flock --nonblock 9 || { echo "video2act: waiting for another installation in $PWD"; flock 9; }
    if [ ! -e "$under_way" ] && installed_with "$stamp" ${extras//,/ }; then exec 9<&-; return; fi
    echo "video2act: setting up, once; on a new machine this takes minutes and 3 GB of disk (8 GB with torch for CUDA)"
    if [ -e "$under_way" ] || ! compgen -G '.venv/installed-for*' >/dev/null; then
        [ ! -e .venv ] || echo "video2act: an earlier set-up was interrupted; repeating it"
        interpreter=$(find_python) || exit 2
        echo "video2act: 1 of 4: the environment .venv"
        mkdir -p .venv
        "$interpreter" -m venv --clear .venv 9<&-
    fi
    touch "$under_way"
    lists=(launch/locked/build.txt launch/locked/base.txt)
    for extra in ${extras//,/ }; do lists+=("launch/locked/$extra.txt"); done
    echo "video2act: 2 of 4: $(cat "${lists[@]}" | grep -c ==) packages by their hashes (600 MB to fetch)"
    pip_install --require-hashes --no-deps "${lists[@]/#/--requirement=}" 9<&-
    # torch alone, at its pin and without a hash: the machine chooses the build. Whatever it needs of the others is there by now.
    echo "video2act: 3 of 4: torch (200 MB to fetch without CUDA, 3 GB with it)"
    pip_install "$(grep '^torch==' requirements.lock)" 9<&-
    echo "video2act: 4 of 4: video2act itself, and compiling the arms' limits"
    pip_install --no-deps --no-build-isolation -e . 9<&-
    .venv/bin/python -c "import runtime.arms.step" 9<&-
    echo "$stamp" >"$stamp_file"
    rm "$under_way"
    exec 9<&-
    echo "video2act: set up, $(du -sh .venv/ | cut -f1)"
} >&2

pip_install() {  # pip's own bars on a terminal; elsewhere a line every ten seconds
    local pip=(.venv/bin/python -m pip install --disable-pip-version-check) teller status=0
    if [ -t 2 ]; then
        "${pip[@]}" "$@" || status=$?
    else
        tell_size &
        teller=$!
        "${pip[@]}" --quiet "$@" || status=$?
        kill "$teller" && wait "$teller" || true
    fi
    [ $status = 0 ] || rm -f "$under_way"   # pip itself gave up, and left what was there as it was
    return $status
}

tell_size() {
    local nap
    trap 'kill "$nap"; exit' TERM
    while sleep 10 & nap=$!; wait "$nap"; do echo "video2act: installing, .venv has $(du -sh .venv/ | cut -f1) so far"; done
}

# Pictures and conditions are allocated thousands of times a minute: from a kept heap, not as fresh pages of the kernel.
export MALLOC_MMAP_THRESHOLD_=67108864 MALLOC_TRIM_THRESHOLD_=268435456 MALLOC_TOP_PAD_=16777216

install_system_packages
install_python_packages ${extras:-}
python=$PWD/.venv/bin/python repository=$PWD
# What somebody types is meant from where he is; a folder `runtime` or `models` there is not ours.
export PYTHONSAFEPATH=1
cd "$called_from"
