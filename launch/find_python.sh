# Which Python environments are made with: sourced by setup.sh and policy_server.sh.
find_python() {
    local candidate
    for candidate in "${VIDEO2ACT_PYTHON:-}" python3.11 python3 python3.12 python3.13 python3.14; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "video2act: Python 3.11 or newer with venv is missing; install one (Debian: apt-get install python3 python3-venv)" \
        "or name it in VIDEO2ACT_PYTHON" >&2
    exit 2
}
