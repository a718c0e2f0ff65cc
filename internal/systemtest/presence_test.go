package systemtest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cardauth/cardtest"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/relay"
	"sinete/relay/flow"
	"sinete/wire"
)

// dweller is somebody who stays: a presence whose events are taken as they come, on a network of their own that can be cut.
type dweller struct {
	*presence.Presence
	t *testing.T
	w *world

	mu        sync.Mutex
	down      bool
	sockets   []net.Addr
	events    []peer.Event
	opened    []*peer.Conversation
	messages  []*peer.Message
	heard     map[string][]*peer.Message // the same by their author's name
	confirmed map[string]uint64          // number after the last that somebody has, by their name
	following sync.WaitGroup
}

func (w *world) dwell(t *testing.T, cfg presence.Config) *dweller {
	t.Helper()
	d := &dweller{t: t, w: w, heard: map[string][]*peer.Message{}, confirmed: map[string]uint64{}}
	cfg.Socket = d.socket
	p, err := presence.Begin(t.Context(), cfg)
	must(t, err)
	d.Presence = p
	d.following.Go(d.follow)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = d.Close(ctx)
		d.following.Wait()
	})
	return d
}

func (d *dweller) socket() (net.PacketConn, net.Addr, error) {
	s := d.w.network.Endpoint()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sockets = append(d.sockets, s.LocalAddr())
	if d.down {
		d.w.network.Cut(s.LocalAddr())
	}
	return s, d.w.address, nil
}

// cut takes the person's network away; the sockets of before never come back.
func (d *dweller) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down = true
	for _, a := range d.sockets {
		d.w.network.Cut(a)
	}
}

// mend gives sockets made from now on a network.
func (d *dweller) mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.down, d.sockets = false, nil
}

func (d *dweller) follow() {
	for {
		e, err := d.Next(context.Background())
		if err != nil {
			return
		}
		d.mu.Lock()
		d.events = append(d.events, e)
		d.mu.Unlock()
		switch e := e.(type) {
		case *peer.Opened:
			d.mu.Lock()
			d.opened = append(d.opened, e.Conversation)
			d.mu.Unlock()
			d.following.Go(func() { d.converse(e.Conversation) })
		case *peer.SessionClosed:
			return
		}
	}
}

func (d *dweller) converse(c *peer.Conversation) {
	for {
		e, err := c.Next(context.Background())
		if err != nil {
			return
		}
		d.mu.Lock()
		switch e := e.(type) {
		case *peer.Message:
			d.messages = append(d.messages, e)
			d.heard[c.Person.Name] = append(d.heard[c.Person.Name], e)
		case *peer.Receipt:
			if e.Stage == peer.StagePeer {
				d.confirmed[c.Person.Name] = max(d.confirmed[c.Person.Name], e.Number+1)
			}
		case *peer.Closed:
			d.mu.Unlock()
			return
		}
		d.mu.Unlock()
	}
}

// until waits, in virtual time, for what must come.
func (d *dweller) until(what string, holds func() bool) {
	d.t.Helper()
	for range 36_000 {
		d.mu.Lock()
		ok := holds()
		d.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	d.t.Fatalf("%s: %s did not come; events %v", d.Session().Name(), what, d.kinds())
}

// last is the newest event.
func (d *dweller) last() peer.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.events[len(d.events)-1]
}

// all are the conversations that were opened so far.
func (d *dweller) all() []*peer.Conversation {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.opened)
}

// kinds are the events so far.
func (d *dweller) kinds() (all []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.events {
		switch e := e.(type) {
		case *peer.Away:
			all = append(all, "away: "+e.Err.Error())
		case *peer.SessionClosed:
			all = append(all, fmt.Sprint("closed: ", e.Err))
		case *peer.GivenUp:
			all = append(all, "given up: "+e.Number.String())
		case *peer.Warning:
			all = append(all, "warning: "+e.Code)
		default:
			all = append(all, fmt.Sprintf("%T", e))
		}
	}
	return all
}

// number counts the events of a type. Used with until, whose lock is held.
func number[E peer.Event](d *dweller) (n int) {
	for _, e := range d.events {
		if _, ok := e.(E); ok {
			n++
		}
	}
	return n
}

func (d *dweller) talking() bool {
	return len(d.opened) > 0 && d.Session().Alive() && slices.ContainsFunc(d.Session().Conversations(), func(c *peer.Conversation) bool {
		return c == d.opened[len(d.opened)-1]
	})
}

// says sends, or queues where there is no conversation.
func (d *dweller) says(to *dweller, text string) {
	d.t.Helper()
	d.mu.Lock()
	var c *peer.Conversation
	if d.talking() {
		c = d.opened[len(d.opened)-1]
	}
	d.mu.Unlock()
	var err error
	if c != nil {
		_, err = c.Send(context.Background(), text)
	} else {
		_, err = d.Queue(to.Session().Identity(), text)
	}
	must(d.t, err)
}

// has wants exactly these texts to arrive, in order, numbered from 0.
func (d *dweller) has(from *dweller, texts ...string) {
	d.t.Helper()
	d.until(fmt.Sprint(len(texts), " messages"), func() bool { return len(d.messages) >= len(texts) })
	from.until("their receipts", func() bool { return from.confirmed[d.Session().Name()] >= uint64(len(texts)) })
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.messages) != len(texts) {
		d.t.Fatalf("%d messages arrived, not %d", len(d.messages), len(texts))
	}
	for i, m := range d.messages {
		if m.Text != texts[i] || m.Number != uint64(i) {
			d.t.Fatalf("message %d is number %d %q, not %q", i, m.Number, m.Text, texts[i])
		}
	}
}

func (d *dweller) connects(to *dweller) {
	d.t.Helper()
	_, err := d.Connect(d.t.Context(), listed(d.t, d.Session(), to.Session()).ID, nil)
	must(d.t, err)
	to.until("the conversation", to.talking)
	d.until("the conversation", d.talking)
}

// reunited waits until both are back in one conversation.
func reunited(a, b *dweller) {
	a.t.Helper()
	for range 36_000 {
		a.mu.Lock()
		b.mu.Lock()
		ok := a.talking() && b.talking() && a.opened[len(a.opened)-1].ID == b.opened[len(b.opened)-1].ID
		b.mu.Unlock()
		a.mu.Unlock()
		if ok {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	a.t.Fatalf("they do not find each other again: %v and %v", a.kinds(), b.kinds())
}

// home is the configuration of somebody whose card needs a second for a signature and wants the PIN for each.
func (w *world) home(name string) (presence.Config, *cardtest.Reader) {
	card := cardtest.NewReader(cardtest.NewFake(w.card(name), time.Second), true)
	return presence.Config{Config: w.config(card)}, card
}

func (w *world) plain(name string) presence.Config {
	return presence.Config{Config: w.config(w.card(name))}
}

// Both lose their connections at once, with messages under way: they find each other again whoever is back first, and nothing is lost.
func TestBothLoseTheirConnections(t *testing.T) {
	for _, first := range []int{0, 1} {
		simulated(t, graceful, func(t *testing.T, w *world) {
			alice, bob := w.dwell(t, w.plain("alice")), w.dwell(t, w.plain("bob"))
			alice.connects(bob)
			var hers, his []string
			say := func(text string) {
				hers, his = append(hers, text), append(his, text)
				alice.says(bob, text)
				bob.says(alice, text)
			}
			for i := range 20 {
				say(fmt.Sprint("before ", i))
			}
			alice.cut()
			bob.cut()
			for i := range 20 {
				say(fmt.Sprint("meanwhile ", i))
				time.Sleep(5 * time.Second)
			}
			both := []*dweller{alice, bob}
			both[first].mend()
			time.Sleep(20 * time.Second)
			both[1-first].mend()
			reunited(alice, bob)
			say("after")
			bob.has(alice, hers...)
			alice.has(bob, his...)
		})
	}
}

// The connection breaks at any moment of a flight: nothing is lost, nothing comes twice, all is in order.
func TestCutInTheMiddleOfFlights(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		alice, bob := w.dwell(t, w.plain("alice")), w.dwell(t, w.plain("bob"))
		alice.connects(bob)
		var hers []string
		for round := range 8 {
			for i := range 200 {
				hers = append(hers, fmt.Sprint(round, " ", i))
				alice.says(bob, hers[len(hers)-1])
			}
			time.Sleep(time.Duration(round*4) * time.Millisecond) // a little later in the flight each time
			who := []*dweller{alice, bob}[round%2]
			who.cut()
			time.Sleep(50 * time.Second)
			who.mend()
			reunited(alice, bob)
		}
		bob.has(alice, hers...)
	})
}

// A session is lost in the middle of a conversation's handshake: it is made when the person is back.
func TestCutInTheMiddleOfAHandshake(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		card := cardtest.NewFake(w.card("bob"), 2*time.Second) // so that a handshake takes long
		alice, bob := w.dwell(t, w.plain("alice")), w.dwell(t, presence.Config{Config: w.config(card)})
		alice.connects(bob)
		bob.cut()
		time.Sleep(time.Minute)
		bob.mend()
		bob.until("being back", func() bool { return number[*peer.Back](bob) == 1 })
		for alice.Session().Conversations() != nil {
			time.Sleep(10 * time.Millisecond)
		}
		for range 3 {
			time.Sleep(3 * time.Second) // somewhere in the next handshake, if one is under way
			bob.cut()
			time.Sleep(time.Minute)
			bob.mend()
		}
		reunited(alice, bob)
		alice.says(bob, "at last")
		bob.has(alice, "at last")
	})
}

// A relay that goes away and comes back: everybody is back by themselves, not all at once, and talks on under the numbers of before.
func TestRelayRestarts(t *testing.T) {
	var mu sync.Mutex
	var logins []time.Time
	level := func(c *relay.Config) {
		graceful(c)
		of := c.Level
		c.Level = func(identity string) (flow.Subject, bool) {
			mu.Lock()
			defer mu.Unlock()
			logins = append(logins, time.Now())
			return of(identity)
		}
	}
	simulated(t, level, func(t *testing.T, w *world) {
		const people = 20
		var all []*dweller
		for i := range people {
			all = append(all, w.dwell(t, w.plain(fmt.Sprint("person-", i))))
		}
		for i := 0; i < people; i += 2 {
			all[i].connects(all[i+1])
			all[i].says(all[i+1], "before")
			all[i+1].has(all[i], "before")
		}
		mu.Lock()
		logins = nil
		mu.Unlock()
		w.restart(t)
		for i, d := range all {
			d.until("the way back", func() bool { return number[*peer.Back](d) == 1 })
			if kinds := d.kinds(); !slices.Contains(kinds, "warning: going-away") {
				t.Errorf("%d: %v", i, kinds)
			}
		}
		for i := 0; i < people; i += 2 {
			reunited(all[i], all[i+1])
			all[i].says(all[i+1], "after")
			all[i+1].has(all[i], "before", "after")
		}
		mu.Lock()
		defer mu.Unlock()
		apart := map[time.Duration]bool{} // quarters of a second in which somebody came
		for _, at := range logins {
			apart[at.Sub(logins[0])/(time.Second/4)] = true
		}
		if len(logins) != people || len(apart) < people/3 || logins[people-1].Sub(logins[0]) > 2*time.Minute {
			t.Errorf("%d logins came in %d quarters of a second, over %v", len(logins), len(apart), logins[len(logins)-1].Sub(logins[0]))
		}
	})
}

// A channel that breaks again and again, as somebody who tampers can have it, or whose rekeyings fail, is left to the person, with the reason,
// after a few attempts.
func TestConversationThatBreaksAgainAndAgain(t *testing.T) {
	for _, why := range []wire.Code{wire.CodeIntegrity, wire.CodeWrongContext, wire.CodeAuthenticationFailed} {
		t.Run(why.String(), func(t *testing.T) { breaksAgainAndAgain(t, why) })
	}
}

func breaksAgainAndAgain(t *testing.T, why wire.Code) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		alice, mallory := w.dwell(t, w.plain("alice")), w.evilPeer(t, w.card("mallory"))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 6 { // and no more
				talk, err := mallory.tryJoin(w, wire.RoleResponder, nil)
				if err != nil {
					return
				}
				alice.until("the conversation", alice.talking)
				mallory.ask(func(req uint64) wire.Control {
					return wire.Disconnect{Req: req, Conversation: talk.open.Conversation, Number: why}
				})
			}
		}()
		people, err := alice.List(t.Context())
		must(t, err)
		i := slices.IndexFunc(people, func(p peer.Person) bool { return p.Name == mallory.own.Name })
		_, err = alice.Connect(t.Context(), people[i].ID, nil)
		must(t, err)
		alice.until("giving up", func() bool { return number[*peer.GivenUp](alice) == 1 })
		if kinds := alice.kinds(); kinds[len(kinds)-1] != "given up: "+why.String() {
			t.Errorf("%v", kinds)
		}
		time.Sleep(10 * time.Minute)
		if n := len(alice.all()); n != 6 {
			t.Errorf("%d conversations were made", n)
		}
		if alice.Away() {
			t.Error("the session ended with it")
		}
		birds.sings(t)
		mallory.conn.Close(wire.CodeBye)
		<-done
	})
}

// A person's own disconnect is not undone, on either side, whatever breaks later.
func TestEndedByAPersonStaysEnded(t *testing.T) {
	simulated(t, graceful, func(t *testing.T, w *world) {
		alice, bob := w.dwell(t, w.plain("alice")), w.dwell(t, w.plain("bob"))
		alice.connects(bob)
		must(t, alice.all()[0].Disconnect(t.Context()))
		for _, d := range []*dweller{alice, bob} {
			d.cut()
			time.Sleep(time.Minute)
			d.mend()
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if a, b := len(alice.all()), len(bob.all()); a != 1 || b != 1 {
			t.Errorf("%d and %d conversations", a, b)
		}
		// One that broke and that the person gives up meanwhile is not made again by this side.
		alice.connects(bob)
		bob.cut()
		alice.until("the break", func() bool { return len(alice.Session().Conversations()) == 0 })
		if !alice.Forget(bob.Session().Identity()) || alice.Forget(bob.Session().Identity()) {
			t.Error("it was not to be made again, or is after that")
		}
	})
}
