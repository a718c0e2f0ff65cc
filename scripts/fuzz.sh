#!/usr/bin/env bash
# fuzz.sh [TIME [PACKAGES]] runs every fuzz target for TIME (5s if not given; 10m, 2h, ...), one after the other.
# An input that breaks one stays in the package's testdata/fuzz, for the repair to be tested with.
set -euo pipefail

time=${1:-5s}
[ $# -gt 0 ] && shift
go=${GO:-go}

# go test -list names the targets of a package first and the package after them.
targets=$("$go" test -list '^Fuzz' "${@:-./...}" | awk '/^Fuzz/ { names = names " " $1 } $1 == "ok" { if (names) print $2 names; names = "" }')
if [ -z "$targets" ]; then
	echo "fuzz.sh: found nothing to fuzz" >&2
	exit 1
fi

# fuzz PACKAGE TARGET. The go command now and then takes the end of the time itself for a failure, without an input that breaks
# anything: then the target has another go.
fuzz() {
	local out
	for _ in 1 2 3; do
		out=$("$go" test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 100x "$1" 2>&1) && return
		[[ $out == *"context deadline exceeded"* && $out != *"Failing input"* ]] || break
	done
	echo "$out"
	return 1
}

failed=0
while read -r package names; do
	for name in $names; do
		echo "$package $name"
		fuzz "$package" "$name" || { echo "fuzz.sh: FAILED: $package $name" >&2; failed=1; }
	done
done <<<"$targets"
exit $failed
