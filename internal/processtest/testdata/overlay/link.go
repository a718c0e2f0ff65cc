package link

// This file is no part of the programs. The tests of internal/processtest add it to internal/link as they build them, so that a process
// tells how far its rekeyings are: whoever kills it can say in the middle of what.

import (
	"fmt"
	"os"
	"sync"

	"sinete/wire"
)

// states is where the process writes that, one line each; nowhere if the variable is not set.
var states = sync.OnceValue(func() *os.File {
	path := os.Getenv("SINETE_TEST_STATES")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	return f
})

func state(k *Rekeyer, what string) {
	if f := states(); f != nil {
		kind := "conversation"
		if _, hop := k.carrier.(carrier); hop {
			kind = "hop"
		}
		fmt.Fprintf(f, "%s: %s\n", kind, what)
	}
}

func recordedPost(k *Rekeyer, f wire.Frame) error {
	state(k, f.Type.String()+" sent")
	return k.carrier.Post(f)
}

func recordedSwitch(k *Rekeyer) ([]byte, error) {
	body, err := k.channel.Switch()
	if err == nil {
		state(k, switches(k.theirs))
	}
	return body, err
}

func recordedSwitched(k *Rekeyer, body []byte) error {
	err := k.channel.Switched(body)
	if err == nil {
		state(k, switches(k.channel.Role == wire.RoleInitiator))
	}
	return err
}

func switches(both bool) string {
	if both {
		return "switched both ways"
	}
	return "switched one way"
}
