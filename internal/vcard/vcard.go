// Package vcard is an identity card made of software, for tests: a PIV token, or a Cartão de Cidadão of the first kind. It
// answers APDUs (ISO/IEC 7816-4) and plugs into the virtual reader of vsmartcard, so that pcscd, OpenSC and all above them
// meet a card that can be pulled out, swapped, slowed down and locked.
//
//	card, err := vcard.NewPIV(vcard.PIV{Authentication: key, PIN: "123456"})
//	err = card.Insert(ctx, address) // of package reader's Reader
//	card.Remove()
//
// Its keys lie in memory and its arithmetic is not constant in time: it is never for production.
package vcard

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"net"
	"sync"
	"time"
)

// Key is a private key on the card, *rsa.PrivateKey or *ecdsa.PrivateKey, with its certificate in DER.
type Key struct {
	Private     crypto.Signer
	Certificate []byte
}

// Counts are what a card has been asked for since it was made.
type Counts struct {
	Signatures int // made
	Verified   int // PINs that were right
	Wrong      int // PINs that were wrong, or came too late
}

// DefaultTries is how many wrong PINs in a row lock a PIN where nothing else is said.
const DefaultTries = 3

// Card is a card, in a reader or out of one. Its methods may be called concurrently; it answers one command at a time.
type Card struct {
	mu      sync.Mutex // of all below, while a command runs
	app     applet
	pending []byte // what GET RESPONSE still fetches
	chained []byte // what command chaining has brought so far

	set struct { // apart, since a command may take long
		sync.Mutex
		counts          Counts
		perSignature    time.Duration
		perCommand      time.Duration
		signing         func()
		conn            net.Conn
		done, unplugged chan struct{}
	}
}

// applet is what tells one kind of card from another. It is called by one goroutine at a time.
type applet interface {
	atr() []byte
	reset()
	// do answers a whole command: with any length of data, or nil and a status that is not statusOK.
	do(c command) (data []byte, status uint16)
	// pin returns the PIN of that number, nil if there is none.
	pin(number int) *pin
}

// SetDelays makes every signature and every command take that much longer. Removing the card ends the wait.
func (c *Card) SetDelays(signature, command time.Duration) {
	c.set.Lock()
	defer c.set.Unlock()
	c.set.perSignature, c.set.perCommand = signature, command
}

// OnSignature has f called whenever a signature begins, before its delay. f must not call the card.
func (c *Card) OnSignature(f func()) {
	c.set.Lock()
	defer c.set.Unlock()
	c.set.signing = f
}

// Counts returns what has been counted so far.
func (c *Card) Counts() Counts {
	c.set.Lock()
	defer c.set.Unlock()
	return c.set.counts
}

// TriesLeft returns how many wrong PINs the card would still take: 0 when locked, -1 where it has no such PIN. A PIV token has PIN 1,
// a Cartão de Cidadão has 1 for authentication, 2 for signatures and 3 for the address.
func (c *Card) TriesLeft(number int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.app.pin(number); p != nil {
		return p.left
	}
	return -1
}

// SetTriesLeft is what somebody else did to the card meanwhile.
func (c *Card) SetTriesLeft(number, tries int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.app.pin(number); p != nil {
		p.left, p.verified = tries, false
	}
}

func (c *Card) count(f func(*Counts)) {
	c.set.Lock()
	defer c.set.Unlock()
	f(&c.set.counts)
}

// delayed waits, or until the card is pulled out.
func (c *Card) delayed(d time.Duration) {
	c.set.Lock()
	unplugged := c.set.unplugged
	c.set.Unlock()
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-unplugged:
	}
}

// sign makes one signature with the card's delay.
func (c *Card) sign(f func() ([]byte, error)) ([]byte, uint16) {
	c.set.Lock()
	d, signing := c.set.perSignature, c.set.signing
	c.set.Unlock()
	if signing != nil {
		signing()
	}
	c.delayed(d)
	sig, err := f()
	if err != nil {
		return nil, statusWrongData
	}
	c.count(func(n *Counts) { n.Signatures++ })
	return sig, statusOK
}

// verify is the command VERIFY for a PIN that the applet found.
func (c *Card) verify(p *pin, cmd command) ([]byte, uint16) {
	switch {
	case p == nil:
		return nil, statusNoReference
	case cmd.p1 == 0xFF: // log out
		p.verified = false
		return nil, statusOK
	case cmd.p1 != 0:
		return nil, statusWrongParameters
	case len(cmd.data) == 0:
		return nil, p.state()
	}
	status := p.try(cmd.data)
	c.count(func(n *Counts) {
		if status == statusOK {
			n.Verified++
		} else {
			n.Wrong++
		}
	})
	return nil, status
}

// pin is a PIN with its counter, which outlives resets as on a chip.
type pin struct {
	value       string
	tries, left int
	verified    bool
}

func newPIN(value string, tries int) *pin {
	if tries == 0 {
		tries = DefaultTries
	}
	return &pin{value: value, tries: tries, left: tries}
}

func (p *pin) state() uint16 {
	switch {
	case p.left == 0:
		return statusLocked
	case p.verified:
		return statusOK
	}
	return statusWrongPIN | uint16(p.left)
}

// try compares what was padded with FF.
func (p *pin) try(data []byte) uint16 {
	if p.left == 0 {
		return statusLocked
	}
	for len(data) > 0 && data[len(data)-1] == 0xFF {
		data = data[:len(data)-1]
	}
	if p.verified = string(data) == p.value; p.verified {
		p.left = p.tries
		return statusOK
	}
	if p.left--; p.left == 0 {
		return statusLocked
	}
	return statusWrongPIN | uint16(p.left)
}

// rawRSA is RSA without padding, which is the host's with PIV.
func rawRSA(k *rsa.PrivateKey, in []byte) ([]byte, error) {
	m := new(big.Int).SetBytes(in)
	if len(in) != k.Size() || m.Cmp(k.N) >= 0 {
		return nil, errors.New("not a padded block")
	}
	// By the Chinese remainder theorem, as chips do it.
	p, q := k.Primes[0], k.Primes[1]
	m1 := new(big.Int).Exp(m, k.Precomputed.Dp, p)
	m2 := new(big.Int).Exp(m, k.Precomputed.Dq, q)
	h := m1.Sub(m1, m2)
	h.Mul(h, k.Precomputed.Qinv).Mod(h, p)
	return h.Mul(h, q).Add(h, m2).FillBytes(make([]byte, k.Size())), nil
}

// Insert plugs the card into the virtual reader at that TCP address, and returns once the reader's users can see it. Where another card is
// in the reader, it waits.
func (c *Card) Insert(ctx context.Context, address string) error {
	c.Remove()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("vcard: the virtual reader: %w", err)
	}
	seen, done, unplugged := make(chan struct{}), make(chan struct{}), make(chan struct{})
	c.set.Lock()
	c.set.conn, c.set.done, c.set.unplugged = conn, done, unplugged
	c.set.Unlock()
	go func() {
		defer close(done)
		c.serve(conn, seen)
	}()
	select {
	case <-seen:
		return nil
	case <-done:
		return errors.New("vcard: the virtual reader is gone")
	case <-ctx.Done():
		c.Remove()
		return context.Cause(ctx)
	}
}

// Remove pulls the card out, in the middle of a command if need be. A card that is in no reader stays there.
func (c *Card) Remove() {
	c.set.Lock()
	conn, done, unplugged := c.set.conn, c.set.done, c.set.unplugged
	c.set.conn = nil
	c.set.Unlock()
	if conn == nil {
		return
	}
	close(unplugged)
	conn.Close()
	<-done
}
