#!/usr/bin/env bash
# Shows that everything works, with real parts that make demo has built; see internal/demo. Further arguments go to it:
# -sabotage STEP, -list.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec bin/demo "$@"
