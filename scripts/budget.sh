#!/usr/bin/env bash
# Where the processor time of a message goes: runs bench/load with the flags given and shows, for each process, the microseconds that each
# part takes of a message. They add up to what getrusage says. Samples are of 10 ms: take a run of 10 s and more.
#
#	scripts/budget.sh -n 2500000
set -euo pipefail

cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go run ./bench/load -splice=false "$@" -runs 1 -json -cpuprofile "$dir" >"$dir/result"

# A stack belongs to QUIC where QUIC stands anywhere in it, for it calls nobody back; else to the innermost function that is of a part.
read -r -d '' classify <<'AWK' || true
BEGIN {
	n = split("QUIC send,QUIC receive,AEAD,ratchet and commitment,hashing,seals,wake-ups,memory,the rest", name, ",")
	of["seals"] = "cardauth/seal|SealRoot|crypto/(ecdsa|rsa|ed25519)|crypto\\.SignMessage"
	of["ratchet and commitment"] = "atchet|ommitment|wire\\.(hmac|hkdf|mac)"
	of["AEAD"] = "fips140/aes|crypto/cipher|chacha20poly1305|crypto/aes"
	of["hashing"] = "sha256|ranscript|Digest"
	of["memory"] = "runtime\\.(mallocgc|gcBgMark|gcAssist|gcDrain|bgsweep|bgscavenge|sweepone|memclr|makeslice|growslice|newobject|systemstack_switch|wbBuf)"
	of["wake-ups"] = "runtime\\.(schedule|findRunnable|park_m|mcall|goready|ready|wakep|futex|note(sleep|wakeup)|startm|stopm|mPark|goexit0|netpoll|chan(send|recv)|selectgo|usleep|mstart|sysmon|runq|steal)|sync\\.\\(\\*(Mutex|Cond)\\)"
	order = split("ratchet and commitment,seals,AEAD,hashing,wake-ups,memory", inner, ",")
}
function close_stack(   i, j, part, all) {
	if (value == 0) return
	part = ""
	all = ""
	for (i = 1; i <= depth; i++) all = all "\n" frame[i]
	if (all ~ /quic-go/) {
		part = "QUIC receive"
		if (all ~ /riggerSending|sendPacket|sendQueue|SendStream|Stream\)\.Write|WritePacket|maybeSend|packPacket/) part = "QUIC send"
	} else if (all ~ /transport\.\(\*(together|patientSocket)/) part = "QUIC receive"
	for (i = 1; i <= depth && part == ""; i++)
		for (j = 1; j <= order && part == ""; j++)
			if (frame[i] ~ of[inner[j]] && !(inner[j] == "hashing" && deeper_ratchet(i))) part = inner[j]
	if (part == "") part = "the rest"
	sum[part] += value
	total += value
}
# Hashing for the ratchet is the ratchet's.
function deeper_ratchet(i,   k) {
	for (k = i; k <= depth; k++) if (frame[k] ~ of["ratchet and commitment"]) return 1
	return 0
}
function milliseconds(s) {
	if (s ~ /us$/) return s / 1000
	if (s ~ /ms$/) return s + 0
	return s * 1000
}
/^-+\+/ { close_stack(); value = 0; depth = 0; next }
value == 0 && $1 ~ /^[0-9.]+(us|ms|s)$/ { value = milliseconds($1); sub(/^ *[^ ]+ +/, ""); depth = 1; frame[1] = $0; next }
value > 0 { depth++; frame[depth] = $0 }
END {
	close_stack()
	for (i = 1; i <= n; i++) printf "%s\t%.2f\n", name[i], total ? cpu * sum[name[i]] / total : 0
	printf "sum\t%.2f\n", cpu
}
AWK

figure() { sed -n "s/^ *\"$1\": \([0-9.e+-]*\),*$/\1/p" "$dir/result"; }
part() { # PROCESS FIGURE
	go tool pprof -traces "$dir/sinete-$1.pprof" 2>/dev/null | awk -v cpu="$(figure "$2")" "$classify"
}
part server relay_cpu_us_per_msg >"$dir/relay"
part sender sender_cpu_us_per_msg >"$dir/sender"
part receiver receiver_cpu_us_per_msg >"$dir/receiver"
printf '%.0f messages/s; microseconds of a message\n\n' "$(figure msgs_per_s)"
paste "$dir/relay" "$dir/sender" "$dir/receiver" |
	awk -F '\t' 'BEGIN { printf "%-24s %8s %8s %8s %8s\n", "", "relay", "sender", "receiver", "all" }
		{ printf "%-24s %8.2f %8.2f %8.2f %8.2f\n", $1, $2, $4, $6, $2 + $4 + $6 }'
