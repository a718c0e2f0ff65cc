#!/usr/bin/env bash
# Installs what the tests and the provers need and the machine lacks, where it may: as root, with apt-get. Says plainly what it cannot.
# It always ends well: a test whose part is missing fails by itself.
set -euo pipefail

missing=()

# need PACKAGE COMMAND WHAT-FAILS
need() {
	command -v "$2" >/dev/null && return
	missing+=("$1")
	echo "need.sh: $2 is missing (Debian package $1): without it $3"
}

need softhsm2 softhsm2-util "the tests of PKCS#11 cards fail"
need pcscd pcscd "the tests of cards in readers fail"
need vsmartcard-vpcd vpcd-config "the tests of cards in readers fail"
need opensc opensc-tool "the tests of cards in readers fail"
need openssl openssl "the tests against stock OpenSSL fail"
need iproute2 ip "the test of a change of address fails, which needs root too, for network namespaces"
need dbus dbus-run-session "the test of the keyring fails"
need gnome-keyring gnome-keyring-daemon "the test of the keyring fails"
need python3 python3 "the second decoder of the protocol's vectors does not run and its tests fail"
need spass SPASS "make formal fails"
need maude maude "make formal fails"
need mosquitto /usr/sbin/mosquitto "the rivals' test and make rivals fail"
need prosody prosody "the rivals' test and make rivals fail"
need gcc "${CC:-gcc}" "the race detector, PKCS#11 cards and the module that misbehaves in their tests do not build"

if [ ${#missing[@]} -eq 0 ]; then
	exit
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "need.sh: cannot install without root and apt-get. On Debian, as root: apt-get install ${missing[*]}"
	exit
fi
[ "${missing[*]/gcc/}" = "${missing[*]}" ] || missing+=(libc6-dev)
# What is only measured must not become a service of this machine.
for server in mosquitto prosody; do
	if [ -d /run/systemd/system ] && [[ " ${missing[*]} " == *" $server "* ]]; then systemctl mask "$server"; fi
done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
	echo "need.sh: installed ${missing[*]}"
else
	tail -n 5 "$log"
	echo "need.sh: could not install ${missing[*]}; what apt-get said last stands above"
fi
