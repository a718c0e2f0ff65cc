#!/bin/sh
# Verifies a proof that somebody has sealed two different values for one place (docs/evidence.md of sinete).
#
#   sh verify.sh ROOT.pem [FOLDER]
#
# ROOT.pem is the certificate of an authority that you trust; FOLDER is where the files of the proof are, this script's own if not said.
# Needs openssl (3 or later), sha256sum and a POSIX shell with printf built in. Nothing is written anywhere.

LC_ALL=C
export LC_ALL

fail() { echo "NOT PROVED: $*"; exit 1; }

[ $# -ge 1 ] || { echo "usage: sh verify.sh ROOT.pem [FOLDER]"; exit 2; }
case $1 in /*) root=$1 ;; *) root=$PWD/$1 ;; esac
case $0 in */*) folder=${0%/*} ;; *) folder=. ;; esac
cd "${2:-$folder}" || fail "there is no such folder"

# bytes writes hexadecimal digits as bytes, u64 and u32 numbers.
bytes() {
	more=$1
	while [ -n "$more" ]; do
		next=${more#??}
		d=$((0x${more%"$next"}))
		printf "\\$((d >> 6))$((d >> 3 & 7))$((d & 7))"
		more=$next
	done
}
u32() { bytes "$(printf %08x "$1")"; }
u64() { bytes "$(printf %016x "$1")"; }
hash() { sum=$(sha256sum) && echo "${sum%% *}"; }

# 1. The files are those that the manifest names.
manifest() {
	exec 3<manifest.txt || fail "there is no manifest.txt"
	for name in "$@"; do
		IFS= read -r line <&3 || fail "the manifest is cut off"
		[ -f "$name" ] && [ "$line" = "$(hash <"$name")  $name" ] || fail "$name is not the file of the manifest"
	done
	IFS= read -r line <&3 && fail "the manifest names more"
	[ -z "$line" ] || fail "the manifest names more"
	exec 3<&-
}

# 2. What fork.txt says. read sets a variable for each of its lines, which must stand in this order.
value() {
	IFS= read -r line <&3 || fail "fork.txt is cut off"
	case $line in "$1 "*) got=${line#"$1 "} ;; *) fail "fork.txt has something else in the place of $1" ;; esac
	case $got in *[!$2]*) fail "fork.txt has something that is no value of $1" ;; esac
}
part() {
	value "$1.statement" 0-9a-f; statement=$got
	value "$1.scheme" 0-9a-f; scheme=$got
	value "$1.time" 0-9; time=$got
	value "$1.leaves" 0-9; leaves=$got
	value "$1.index" 0-9; index=$got
	value "$1.salt" 0-9a-f; salt=$got
	value "$1.path" 0-9a-f; path=$got
	[ ${#time} -le 12 ] && [ ${#leaves} -le 5 ] && [ ${#index} -le 5 ] && [ ${#salt} -eq 32 ] || fail "a value of $1 is out of range"
}

# root_of computes what section 4.2 of the protocol calls root, for purpose $1.
root_of() {
	node=$({ bytes "00"; bytes "0$1"; bytes "$salt"; bytes "$(bytes "$statement" | hash)"; } | hash)
	width=$leaves at=$index way=$path
	while [ "$width" -gt 1 ]; do
		[ $((width % 2)) -eq 0 ] || fail "a number of leaves that is no power of two"
		rest=$way; take 32; sibling=$got way=$rest
		if [ $((at % 2)) -eq 1 ]; then node=$(bytes "01$sibling$node" | hash); else node=$(bytes "01$node$sibling" | hash); fi
		width=$((width / 2)) at=$((at / 2))
	done
	[ "$width" -eq 1 ] && [ "$at" -eq 0 ] && [ -z "$way" ] || fail "leaves, index and path of a seal do not fit"
}

# take takes $1 bytes from rest.
take() {
	n=$1 got=
	while [ "$n" -gt 0 ]; do
		next=${rest#??}
		[ "$next" != "$rest" ] || fail "a statement or path is too short"
		got=$got${rest%"$next"} rest=$next n=$((n - 1))
	done
}
varint() {
	take 1; number=$((0x$got & 63)) size=$((1 << (0x$got >> 6)))
	if [ "$size" -gt 1 ]; then
		take $((size - 1)); tail=$got
		while [ -n "$tail" ]; do
			next=${tail#??}
			number=$((number << 8 | 0x${tail%"$next"})) tail=$next
		done
	fi
}
place() { varint; epoch=$number; varint; count=$number; take 32; value=$got; }

# sealed verifies the seal of the part that was read last: $1 its name, $2 its purpose, $3 the signer, $4 empty or the delegated key.
sealed() {
	root_of "$2"
	signed=$({ printf '%64s' ''; printf 'sinete/1 seal\000'; bytes "$3"; u64 "$time"; u32 "$leaves"; bytes "$node"; } | hash)
	[ "$signed" = "$(hash <"$1.bin")" ] || fail "$1.bin is not what a card signs for this statement"
	if [ -n "$4" ]; then
		[ "$scheme" = 0807 ] || fail "a delegated key with another scheme"
		bytes "302a300506032b6570032100$4" | openssl pkeyutl -verify -pubin -keyform DER -inkey /dev/stdin -rawin -in "$1.bin" -sigfile "$1.sig" >/dev/null 2>&1
	else
		case $scheme in
		0401) set -- "$1" -sha256 ;;
		0403) set -- "$1" -sha256 ;;
		0503) set -- "$1" -sha384 ;;
		0804) set -- "$1" -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 ;;
		*) fail "a scheme that is not known" ;;
		esac
		name=$1; shift
		openssl x509 -in leaf.pem -pubkey -noout | openssl dgst "$@" -verify /dev/stdin -signature "$name.sig" "$name.bin" >/dev/null 2>&1
	fi || fail "the signature of $1 does not verify"
}

# trusted verifies the certificate at the time of the part that was read last.
trusted() {
	set -- -CAfile "$root" -no-CApath -no-CAstore -purpose any -ignore_critical -attime "$time" leaf.pem
	[ ! -s chain.pem ] || set -- -untrusted chain.pem "$@"
	openssl verify "$@" >/dev/null 2>&1 || fail "the certificate was not valid under $root at the time of a seal"
}

signer() { # $1: the delegation's statement, or empty
	{ printf 'sinete/1 signer\000'; u32 "$length"; openssl x509 -in leaf.pem -outform DER; u32 $((${#1} / 2)); bytes "$1"; } | hash
}

# statement_of takes apart the statement of the part that was read last.
statement_of() {
	rest=$statement epoch=- lane=- role=- mine=
	case $purpose in
	3)
		take 32; channel=$got; varint; lane=$number; take 1; role=$got; take 1; flags=$got
		case $flags in 01) place; mine="$epoch $count" mine_value=$value ;; 00) ;; *) fail "a head with unknown flags" ;; esac
		place; yours="$epoch $count" yours_value=$value
		;;
	5)
		take 16; channel=$got; take 8; mine=$got; take 32; mine_value=$got yours=- yours_value=-
		;;
	esac
	[ -z "$rest" ] || fail "a statement is too long"
}

if [ -f delegation.sig ]; then
	manifest verify.sh summary.txt fork.txt leaf.pem chain.pem delegation.bin delegation.sig a.bin a.sig b.bin b.sig
else
	manifest verify.sh summary.txt fork.txt leaf.pem chain.pem a.bin a.sig b.bin b.sig
fi
echo "All files are those of the manifest."
exec 3<fork.txt
value format "-a-z0-9"; [ "$got" = sinete-fork-1 ] || fail "a format that this script does not know"
value purpose 0-9; purpose=$got
case $purpose in 3) echo "Two heads, over what was sent and received in one lane of a channel." ;; 5) echo "Two heads of a relay's audit log." ;; *) fail "statements of another purpose" ;; esac

key= delegation= until=
encoded=$(openssl x509 -in leaf.pem -outform DER 2>/dev/null | openssl base64 -A)
padding=${encoded##*[!=]}
length=$((${#encoded} / 4 * 3 - ${#padding}))
[ "$length" -gt 0 ] || fail "leaf.pem holds no certificate"
own=$(signer "")

if [ -f delegation.sig ]; then
	part delegation
	trusted
	sealed delegation 4 "$own" ""
	delegation=$statement from=$time
	rest=$statement; take 32; key=$got; take 2; purposes=$((0x$got)); take 8; until=$((0x$got))
	[ $((purposes >> purpose & 1)) -eq 1 ] && [ "$until" -ge "$from" ] && [ $((until - from)) -le 43200 ] || fail "the delegation does not allow this"
	echo "The card delegated to another key: its seal over that verifies."
fi
by=$(signer "$delegation")
if [ "$purpose" = 5 ]; then
	case $(openssl x509 -in leaf.pem -noout -ext extendedKeyUsage 2>/dev/null) in *"TLS Web Server Authentication"*) ;; *) fail "an audit log that is no relay's" ;; esac
	[ -z "$key" ] || fail "an audit log under a delegated key"
fi
for name in a b; do
	part $name
	trusted
	[ -z "$until" ] || { [ "$time" -le "$until" ] && [ "$from" -le $((time + 300)) ]; } || fail "a seal of the delegated key outside its time"
	sealed $name "$purpose" "$by" "$key"
	echo "Seal $name, of second $time since 1970: the certificate was valid under $root, the signature and the path verify."
	statement_of
	if [ $name = a ]; then
		first="$channel $lane $role" first_scheme=$scheme
		a_mine=$mine a_mine_value=$mine_value a_yours=$yours a_yours_value=$yours_value
	fi
done
IFS= read -r line <&3 && [ "$line" = end ] || fail "fork.txt does not end as it must"
IFS= read -r line <&3 && fail "fork.txt holds more"
[ -z "$line" ] || fail "fork.txt holds more"
exec 3<&-

[ "$first" = "$channel $lane $role" ] || fail "the two statements are of different lanes or logs"
[ "$first_scheme" = "$scheme" ] || fail "the two seals are of different schemes"
if [ -n "$mine" ] && [ "$a_mine" = "$mine" ] && [ "$a_mine_value" != "$mine_value" ]; then
	what="sent" where=$mine one=$a_mine_value two=$mine_value
elif [ "$a_yours" = "$yours" ] && [ "$a_yours_value" != "$yours_value" ]; then
	what="received" where=$yours one=$a_yours_value two=$yours_value
else
	fail "the two statements do not contradict each other"
fi
openssl x509 -in leaf.pem -noout -subject -nameopt utf8,sep_comma_plus_space,esc_ctrl
if [ "$purpose" = 5 ]; then
	echo "sealed two values for the first $((0x$where)) records of the audit log $channel:"
else
	echo "sealed two values for the first ${where#* } envelopes of epoch ${where% *} that they $what in lane $lane of channel $channel:"
fi
echo "  $one"
echo "  $two"
echo "PROVED: a fork. Whether the card was revoked, and since when, was not asked about."
