#!/usr/bin/env bash
# Prepares a machine that is to run at every boot. As root:
#   deploy/install.sh robot --user NAME --profile FILE.toml
#   deploy/install.sh system2 --user NAME --robot tcp://HOST:5760 --keys DIR
# --root DIR only writes the files, below DIR. Nothing is started: look with ./launch/doctor.sh first, then systemctl start video2act.
# Brings a Python 3.11 where the system has none (Ubuntu 20.04 has 3.8): uv's, beside the system's own, for that user alone.
set -euo pipefail
folder=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
role=${1:-} user=${SUDO_USER:-} profile=cobot_magic robot="" keys="" root=""
[ $# -gt 0 ] && shift

refuse() {
    echo "video2act: $1" >&2
    exit 2
}

[ "$role" = robot ] || [ "$role" = system2 ] || refuse "install.sh: first say robot or system2, got ${role:-nothing}"
while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || refuse "install.sh: $1 needs a value"
    case $1 in
        --user) user=$2 ;; --profile) profile=$2 ;; --robot) robot=$2 ;; --keys) keys=$(realpath -m "$2") ;; --root) root=$2 ;;
        *) refuse "install.sh: unknown $1; it takes --user, --profile, --robot, --keys and --root" ;;
    esac
    shift 2
done
[ -n "$user" ] || refuse "install.sh: --user: whose robot is it? Not root's"
[ "$role" = robot ] || { [ -n "$robot" ] && [ -n "$keys" ]; } || refuse "install.sh: system2 needs --robot tcp://HOST:PORT and --keys DIR"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || refuse "install.sh: run it as root (sudo), or with --root DIR to look at what it writes"

put() {  # SOURCE TARGET: with what is known of this machine filled in
    install -d "$root$(dirname "$2")"
    sed -e "s|@USER@|$user|g" -e "s|@FOLDER@|$folder|g" -e "s|@PROFILE@|$profile|g" -e "s|@ROBOT@|$robot|g" -e "s|@KEYS@|$keys|g" \
        "$folder/deploy/$1" >"$root$2"
    echo "video2act: wrote $root$2"
}

flags() {  # NAME: a place for further flags, which an installation of a newer version leaves alone
    [ -e "$root/etc/video2act/$1.env" ] && return
    install -d "$root/etc/video2act"
    echo 'VIDEO2ACT_FLAGS=' >"$root/etc/video2act/$1.env"
    echo "video2act: wrote $root/etc/video2act/$1.env (further flags)"
}

bring_python() {  # for $user, unless there is one that launch/setup.sh finds
    local found
    for found in python3.11 python3 python3.12 python3.13; do
        if sudo -u "$user" "$found" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then return; fi
    done
    echo "video2act: no Python 3.11 here; bringing one for $user"
    sudo -u "$user" -H python3 -m pip install --user --quiet uv
    sudo -u "$user" -H python3 -m uv python install 3.11
    found=$(sudo -u "$user" -H python3 -m uv python find 3.11)
    sudo -u "$user" -H env VIDEO2ACT_PYTHON="$found" bash -c "extras=robot; . '$folder/launch/setup.sh'"
}

if [ "$role" = robot ]; then
    put can-names.rules /etc/udev/rules.d/70-video2act-can.rules
    put cpu-latency.rules /etc/udev/rules.d/60-video2act-latency.rules
    put realtime-limits.conf /etc/security/limits.d/video2act.conf
    put video2act-can@.service /etc/systemd/system/video2act-can@.service
    put video2act.service /etc/systemd/system/video2act.service
    flags robot
    unit=video2act.service
else
    put video2act-system2.service /etc/systemd/system/video2act-system2.service
    flags system2
    unit=video2act-system2.service
fi
[ -z "$root" ] || exit 0
bring_python
if [ "$role" = robot ]; then
    groupadd -f realtime
    usermod -a -G realtime,video,plugdev "$user"
fi
udevadm control --reload && udevadm trigger --subsystem-match=net
systemctl daemon-reload
systemctl enable "$unit"
echo "video2act: look with ./launch/doctor.sh --profile $profile; then: systemctl start ${unit%.service}"
