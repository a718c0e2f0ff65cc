package systemtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth/cardtest"
	"sinete/peer"
	"sinete/transport/transporttest"
)

const (
	cardTime    = 500 * time.Millisecond // a slow card's signature
	groupPeople = 10
	groupEach   = 1000
)

// Ten thousand messages to ten people cost a slow card a handful of signatures, by whatever time they take.
func TestGroupCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		groupCommit(t, newWorld(t, transporttest.New(t, transporttest.Options{Latency: 5 * time.Millisecond}), nil))
	})
}

// The same by the clock on the wall.
func TestGroupCommitOverUDP(t *testing.T) {
	leakFree(t)
	groupCommit(t, newWorld(t, nil, nil))
}

func groupCommit(t *testing.T, w *world) {
	card := cardtest.NewFake(w.card("alice"), cardTime)
	alice := w.login(card)
	contacts := make([]*peer.Session, groupPeople)
	for i := range contacts {
		contacts[i] = w.login(w.card(fmt.Sprint("contact", i)))
	}
	people, err := alice.List(t.Context())
	must(t, err)
	ours, theirs := make([]*peer.Conversation, groupPeople), make([]*peer.Conversation, groupPeople)
	together(t, func(i int) error {
		var err error
		ours[i], err = alice.Connect(t.Context(), people[i].ID, nil)
		return err
	})
	for i, c := range contacts { // the list is in the order of their logins
		theirs[i] = sessionNext[*peer.Opened](t, c).Conversation
		next[*peer.MachineStatement](t, theirs[i])
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	start, before := time.Now(), card.Signatures()
	for i := range groupEach {
		for _, c := range ours {
			if _, err := c.Send(ctx, fmt.Sprint("message ", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	together(t, func(i int) error {
		receipt := make(chan error)
		go func() { receipt <- allConfirmed(ctx, ours[i]) }()
		return errors.Join(receiveAll(ctx, theirs[i]), <-receipt)
	})
	elapsed, signatures := time.Since(start), card.Signatures()-before

	t.Logf("%d messages delivered in %v with %d signatures", groupPeople*groupEach, elapsed, signatures)
	if most := 2 + int(elapsed/cardTime); signatures < 2 || signatures > most {
		t.Errorf("%d signatures in %v, where 2 to %d are right", signatures, elapsed, most)
	}
	if elapsed > 10*time.Second && w.network != nil { // on the wall it is the machine's time, too
		t.Errorf("took %v", elapsed)
	}
	together(t, func(i int) error { return ours[i].Disconnect(ctx) })
	for _, c := range theirs {
		for closed := false; !closed; {
			e, err := c.Next(ctx)
			must(t, err)
			if m, ok := e.(*peer.Message); ok {
				t.Fatalf("message %d is shown again", m.Number)
			}
			_, closed = e.(*peer.Closed)
		}
	}
}

// together does something for every contact at once, as a program would that does not want to wait for the card each time.
func together(t *testing.T, each func(i int) error) {
	t.Helper()
	errs := make([]error, groupPeople)
	var all sync.WaitGroup
	for i := range groupPeople {
		all.Go(func() { errs[i] = each(i) })
	}
	all.Wait()
	must(t, errors.Join(errs...))
}

// receiveAll expects every message once and in order.
func receiveAll(ctx context.Context, c *peer.Conversation) error {
	for want := range groupEach {
		for {
			e, err := c.Next(ctx)
			if err != nil {
				return fmt.Errorf("waiting for message %d: %w", want, err)
			}
			m, ok := e.(*peer.Message)
			if !ok {
				continue
			}
			if m.Number != uint64(want) || m.Text != fmt.Sprint("message ", want) {
				return fmt.Errorf("%q with number %d arrived where %d was next", m.Text, m.Number, want)
			}
			break
		}
	}
	return nil
}

// allConfirmed waits for the H3 of the last message.
func allConfirmed(ctx context.Context, c *peer.Conversation) error {
	for {
		e, err := c.Next(ctx)
		if err != nil {
			return fmt.Errorf("waiting for the last receipt: %w", err)
		}
		if r, ok := e.(*peer.Receipt); ok && r.Stage == peer.StagePeer && r.Number == groupEach-1 {
			return nil
		}
	}
}
