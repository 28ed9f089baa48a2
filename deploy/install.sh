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

if [ "$role" = --help ] || [ "$role" = -h ]; then
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
    exit 0
fi

refuse() {
    echo "video2act: $1" >&2
    exit 2
}

[ "$role" = robot ] || [ "$role" = system2 ] || refuse "install.sh: ROLE must be robot or system2, got ${role:-nothing}"
while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || refuse "install.sh: $1 needs a value"
    case $1 in
        --user) user=$2 ;; --robot) robot=$2 ;; --keys) keys=$(realpath -m "$2") ;; --root) root=$2 ;;
        --profile) case $2 in *.toml) profile=$(realpath -m "$2") ;; *) profile=$2 ;; esac ;;
        *) refuse "install.sh: unknown flag $1; choose one of --user, --profile, --robot, --keys, --root" ;;
    esac
    shift 2
done
[ -n "$user" ] || refuse "install.sh: --user is missing; give the user that runs the robot, not root"
[ "$role" = robot ] || { [ -n "$robot" ] && [ -n "$keys" ]; } || refuse "install.sh: system2: needs --robot tcp://HOST:PORT and --keys DIR; give both"
[ -n "$root" ] || [ "$(id -u)" = 0 ] || refuse "install.sh: needs root; run it with sudo, or give --root DIR to see what it writes"
[ "$user" != root ] || refuse "install.sh: --user root: must not be root; give another user"
id "$user" >/dev/null 2>&1 || [ -n "$root" ] || refuse "install.sh: --user $user: does not exist; create it with adduser $user"

as_text() {  # VALUE: as the right-hand side of sed takes it
    printf '%s' "$1" | sed 's/[&|\\]/\\&/g'
}

put() {  # SOURCE TARGET: with what is known of this machine filled in
    install -d "$root$(dirname "$2")"
    sed -e "s|@USER@|$(as_text "$user")|g" -e "s|@FOLDER@|$(as_text "$folder")|g" -e "s|@PROFILE@|$(as_text "$profile")|g" \
        -e "s|@ROBOT@|$(as_text "$robot")|g" -e "s|@KEYS@|$(as_text "$keys")|g" "$folder/deploy/$1" >"$root$2"
    echo "video2act: wrote $root$2"
}

flags() {  # NAME: a place for further flags, which an installation of a newer version leaves alone
    [ -e "$root/etc/video2act/$1.env" ] && return
    install -d "$root/etc/video2act"
    (umask 077 && echo 'VIDEO2ACT_FLAGS=' >"$root/etc/video2act/$1.env")  # a token may stand in it
    echo "video2act: wrote $root/etc/video2act/$1.env (further flags)"
}

system_packages() {  # as root, before launch/setup.sh looks for them as $user, who may not install any
    command -v apt-get >/dev/null || return 0
    apt-get update -q
    apt-get install -y -q --no-install-recommends \
        python3-pip python3-venv libegl1 libegl-mesa0 libgl1 libopengl0 libgl1-mesa-dri libusb-1.0-0 can-utils iproute2
}

install_for_user() {  # the venv; with a Python of $user's own where the system has none that is new enough
    local found python=""
    for found in python3.11 python3 python3.12 python3.13 python3.14; do
        if sudo -u "$user" "$found" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            python=$found
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "video2act: Python 3.11 is missing; installing one for $user"
        sudo -u "$user" -H python3 -m pip install --user --quiet --require-hashes -r "$folder/launch/locked/uv.txt"
        sudo -u "$user" -H python3 -m uv python install 3.11
        python=$(sudo -u "$user" -H python3 -m uv python find 3.11)
    fi
    sudo -u "$user" -H env VIDEO2ACT_PYTHON="$python" bash -c 'extras=$1; . "$2/launch/setup.sh"' bash "$extras" "$folder"
}

if [ "$role" = robot ]; then
    # With the places of this robot's adapters, once somebody has put them in: a newer version leaves them alone.
    [ -e "$root/etc/udev/rules.d/70-video2act-can.rules" ] || put can-names.rules /etc/udev/rules.d/70-video2act-can.rules
    put cpu-latency.rules /etc/udev/rules.d/60-video2act-latency.rules
    put realsense.rules /etc/udev/rules.d/60-video2act-realsense.rules
    put realtime-limits.conf /etc/security/limits.d/video2act.conf
    put video2act-can@.service /etc/systemd/system/video2act-can@.service
    put video2act.service /etc/systemd/system/video2act.service
    flags robot
    unit=video2act.service extras=robot
else
    put video2act-system2.service /etc/systemd/system/video2act-system2.service
    flags system2
    unit=video2act-system2.service extras=""
fi
[ -z "$root" ] || exit 0
system_packages
install_for_user
if [ "$role" = robot ]; then
    groupadd -f realtime
    usermod -a -G realtime,video,plugdev "$user"
    loginctl enable-linger "$user"  # else the last logout of $user would take the run's shared memory away
fi
udevadm control --reload
udevadm trigger --action=add --subsystem-match=net --subsystem-match=usb
udevadm trigger --name-match=cpu_dma_latency
systemctl daemon-reload
systemctl enable "$unit"
if [ "$role" = robot ]; then
    grep -q 'KERNELS=="3-1.4:1.0"' "$root/etc/udev/rules.d/70-video2act-can.rules" &&
        echo "video2act: write your adapters' USB ports into /etc/udev/rules.d/70-video2act-can.rules (deploy/first-hour.md, step 2)"
    grep -qs '^instruction' "$profile" || grep -q -- --instruction "$root/etc/video2act/robot.env" ||
        echo "video2act: instruction is missing in the profile; write instruction = \"TEXT\" before its first [section]"
    echo "video2act: next, to check the robot: ./launch/doctor.sh --profile $profile"
fi
echo "video2act: next, to start it: systemctl start ${unit%.service}"
