package evidence

import _ "embed"

// script verifies a bundle without any program of ours, and goes with it.
//
//go:embed verify.sh
var script []byte
