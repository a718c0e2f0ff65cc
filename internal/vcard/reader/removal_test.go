//go:build cgo

package reader_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
	"sinete/internal/trialpki"
	"sinete/internal/vcard"
	"sinete/internal/vcard/reader"
)

// absent reports whether err says that the card is away, and whether it says that another is in its place.
func absent(err error) (away, other bool) {
	e, away := errors.AsType[*cardauth.AbsentError](err)
	return away, away && e.Other
}

func TestRemovedAndBack(t *testing.T) {
	r := reader.Start(t)
	for name, chip := range bothKinds(t) {
		t.Run(name, func(t *testing.T) {
			r.Insert(t, chip.Card)
			ana := knows(chip.pin)
			c := open(t, uri(t, r, chip.path), ana.prompt)
			seals(t, c)
			r.Remove(t)
			for range 2 {
				if away, other := absent(seal(t, c)); !away || other {
					t.Errorf("pulled out: away %v, another %v", away, other)
				}
			}
			before := len(ana.asked())
			r.Insert(t, chip.Card)
			seals(t, c)
			seals(t, c)
			if n := len(ana.asked()) - before; n != 1 {
				t.Errorf("asked for the PIN %d times when it was back", n)
			}
			if n := chip.Counts(); n.Wrong != 0 || chip.TriesLeft(1) != vcard.DefaultTries {
				t.Errorf("%+v, %d tries left", n, chip.TriesLeft(1))
			}
		})
	}
}

func TestAnotherCardInItsPlace(t *testing.T) {
	r := reader.Start(t)
	chips, others := bothKinds(t), bothKindsOf(t, "bob")
	for name, chip := range chips {
		t.Run(name, func(t *testing.T) {
			r.Insert(t, chip.Card)
			ana := knows(chip.pin)
			c := open(t, uri(t, r, chip.path), ana.prompt)
			seals(t, c)
			asked := len(ana.asked())
			other := others[name].Card
			r.Remove(t)
			r.Insert(t, other)
			if away, another := absent(seal(t, c)); !away || !another {
				t.Errorf("away %v, another %v", away, another)
			}
			if n := other.Counts(); n != (vcard.Counts{}) || len(ana.asked()) != asked {
				t.Errorf("the other card was asked for something (%+v), or its owner for a PIN", n)
			}
			r.Remove(t)
			r.Insert(t, chip.Card)
			seals(t, c)
		})
	}
}

// The PIN of a card that comes back may be wrong, as any.
func TestWrongPINWhenBack(t *testing.T) {
	r := reader.Start(t)
	chip, _ := reader.NewPIV(t, world(), "ana", trialpki.P256)
	r.Insert(t, chip)
	ana := knows(reader.PIVPIN, "000000", reader.PIVPIN)
	c := open(t, uri(t, r, slot9A), ana.prompt)
	seals(t, c)
	r.Remove(t)
	r.Insert(t, chip)
	seals(t, c)
	if asked := ana.asked(); len(asked) != 3 || asked[1].Wrong || !asked[2].Wrong || chip.Counts().Wrong != 1 {
		t.Errorf("asked %+v, %+v", asked, chip.Counts())
	}
}

// A card that is pulled out in the middle of a signature makes none, and is the same card when it is back.
func TestPulledOutWhileItSigns(t *testing.T) {
	r := reader.Start(t)
	chip, _ := reader.NewPIV(t, world(), "ana", trialpki.P256)
	r.Insert(t, chip)
	c := open(t, uri(t, r, slot9A), knows(reader.PIVPIN).prompt)
	seals(t, c)
	made := chip.Counts().Signatures

	chip.SetDelays(time.Hour, 0)
	signing := make(chan struct{}, 10)
	chip.OnSignature(func() { signing <- struct{}{} })
	go func() {
		<-signing
		chip.Remove()
	}()
	if away, other := absent(seal(t, c)); !away || other {
		t.Errorf("pulled out: away %v, another %v", away, other)
	}
	chip.SetDelays(0, 0)
	if n := chip.Counts().Signatures; n > made+1 { // the chip's last one went nowhere
		t.Errorf("%d signatures", n-made)
	}
	r.Insert(t, chip)
	seals(t, c)
}

// A card that was locked asks for its PIN again, once.
func TestLock(t *testing.T) {
	r := reader.Start(t)
	chip, _ := reader.NewPIV(t, world(), "ana", trialpki.P256)
	r.Insert(t, chip)
	ana := knows(reader.PIVPIN)
	c := open(t, uri(t, r, slot9A), ana.prompt)
	seals(t, c)
	c.(cardauth.Lockable).Lock()
	seals(t, c)
	seals(t, c)
	if n := len(ana.asked()); n != 2 {
		t.Errorf("asked for the PIN %d times", n)
	}
}

func TestWatch(t *testing.T) {
	r := reader.Start(t)
	chip, _ := reader.NewPIV(t, world(), "ana", trialpki.P256)
	stranger, _ := reader.NewPIV(t, world(), "bob", trialpki.P256)
	r.Insert(t, chip)
	ctx, cancel := context.WithTimeout(t.Context(), reader.Patience)
	defer cancel()
	strangers := make(chan pkcs11card.Notice, 10)
	opened, err := pkcs11card.OpenWith(ctx, uri(t, r, slot9A), knows(reader.PIVPIN).prompt, pkcs11card.Options{
		Notify: func(_ string, n pkcs11card.Notice) {
			if n == pkcs11card.NoticeOther {
				strangers <- n
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	c, ok := opened.(cardauth.Removable)
	if !ok {
		t.Fatal("the card is not to be pulled out")
	}
	changes := make(chan bool, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Watch(ctx, func(present bool) { changes <- present })
	}()
	expect := func(want bool) {
		t.Helper()
		select {
		case got := <-changes:
			if got != want {
				t.Errorf("present: %v", got)
			}
		case <-ctx.Done():
			t.Fatal("nobody was told")
		}
	}
	r.Remove(t)
	expect(false)
	r.Insert(t, stranger)
	select {
	case <-strangers:
	case <-ctx.Done():
		t.Fatal("nobody was told of the other card")
	}
	r.Remove(t)
	r.Insert(t, chip)
	expect(true) // and not for the stranger
	seals(t, c)
	cancel()
	<-done
	if len(changes)+len(strangers) > 0 {
		t.Errorf("%d more changes, told %d more times of another card", len(changes), len(strangers))
	}
}
