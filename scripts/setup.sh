#!/usr/bin/env bash
# What does `make $1` need on this machine ($1: run, test or faults)? Installs what is missing: Debian
# packages with apt, and Python packages into .venv at the versions of the lock file.
set -euo pipefail
cd "$(dirname "$0")/.."
exec 1>&2 # standard output belongs to the program that runs next
purpose=$1
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps mosquitto and gpsd

fail() {
    echo "setup: $*" >&2
    exit 1
}

find_python() {
    local name
    for name in python3.11 python3 python3.12 python3.13 python3.14; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    fail "Fieldgate needs Python 3.11 or newer, found: $(python3 --version 2>&1 || true)"
}

# The Debian packages that bring the commands which are not here.
missing_packages() {
    local command package
    "$python" -c 'import ensurepip' 2>/dev/null ||
        "$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
    while read -r command package; do
        command -v "$command" >/dev/null || echo "$package"
    done <<<"$commands"
    # The panel's page is looked at in Chromium, in Chinese too.
    [ "$purpose" = run ] || [ -n "$(fc-list :lang=zh 2>/dev/null)" ] || echo fonts-wqy-zenhei
}

case $purpose in
run)
    extra=sim,map
    commands="mosquitto mosquitto"
    ;;
test | faults)
    extra=dev
    commands="mosquitto mosquitto
mosquitto_pub mosquitto-clients
gpsd gpsd
gpsfake gpsd-clients
openssl openssl
curl curl
chromium chromium
fc-list fontconfig"
    ;;
esac
# An experiment that lacks one of these is skipped, and says so.
[ "$purpose" != faults ] || commands+="
strace strace
eatmydata eatmydata
faketime faketime
mkfs.ext4 e2fsprogs
nft nftables
ip iproute2
tc iproute2"

python=$(find_python)
mapfile -t packages < <(missing_packages)
if [ ${#packages[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || fail "please install what Debian calls: ${packages[*]}"
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        sudo -n true 2>/dev/null || fail "please run: sudo apt-get install ${packages[*]}"
        as_root=(sudo -n)
    fi
    echo "setup: installing ${packages[*]}"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends -o DPkg::Lock::Timeout=120 "${packages[@]}" >/dev/null
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    "$python" -m venv --clear .venv
fi
echo "setup: installing Python packages into .venv (once, about half a minute)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --constraint requirements.lock --editable ".[$extra]"
touch .venv/.run-stamp
[ "$purpose" = run ] || touch .venv/.test-stamp
[ "$purpose" != faults ] || touch .venv/.faults-stamp
