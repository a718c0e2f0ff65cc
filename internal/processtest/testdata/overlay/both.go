package main

// This file is no part of the programs. The tests of internal/processtest add it to cmd/peer and cmd/relay as they build them, so
// that a process tells what it leaves behind and what its card signs.

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"go.uber.org/goleak"

	"sinete/cardauth"
	"sinete/wire"
)

const statusLeaked = 97

// leave ends the process as os.Exit does, unless a goroutine is left, but for one that nobody can end, in a read of the terminal.
func leave(status int) {
	err := goleak.Find(goleak.IgnoreAnyFunction("sinete/cmd/peer/internal/terminal.(*Input).run"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "LEAKED with status %d: %v\n", status, err)
		status = statusLeaked
	}
	os.Exit(status)
}

// records is where the process writes what it does, one JSON object a line; nowhere if the variable is not set.
var records = sync.OnceValue(func() *os.File {
	path := os.Getenv("SINETE_TEST_RECORDS")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		panic(err)
	}
	return f
})

var recording sync.Mutex

func record(v any) {
	f := records()
	if f == nil {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	recording.Lock()
	defer recording.Unlock()
	if _, err := f.Write(append(b, '\n')); err != nil {
		panic(err)
	}
}

type signatureRecord struct {
	Certificate, Signed, Signature []byte
	Scheme                         uint16
}

// recordedCard tells what it signs.
type recordedCard struct{ cardauth.Card }

func (c recordedCard) SealRoot(ctx context.Context, in wire.SealInput) ([]byte, error) {
	signature, err := c.Card.SealRoot(ctx, in)
	if err == nil {
		record(signatureRecord{c.Certificate().Raw, in.Append(nil), signature, uint16(c.Scheme())})
	}
	return signature, err
}
