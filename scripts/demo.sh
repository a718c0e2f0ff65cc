#!/usr/bin/env bash
# Shows that everything works, with real parts; see internal/demo. Further arguments go to it: -sabotage STEP, -list.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec go run ./internal/demo "$@"
