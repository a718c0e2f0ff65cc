package child

import "time"

// How long the child process may take. Nothing here is a wait: each ends when the module answers.
const (
	startTime  = 30 * time.Second  // to load and initialise a module, which may look for readers
	callTime   = 60 * time.Second  // for a call that asks nobody; slow cards read their certificates
	personTime = 180 * time.Second // for a call that may open a dialog of the module or wait for a PIN pad
	abandoned  = 5 * time.Second   // for a call that nobody waits for any more
	endTime    = 2 * time.Second   // to finalise the module
)
