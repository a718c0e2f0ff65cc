package systemtest

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sinete/cardauth/fork"
	"sinete/peer"
	"sinete/peer/store/storetest"
	"sinete/wire"
)

// proves verifies a proof as anybody can: from its file, with the anchor alone, by this project's program and by openssl without it.
func (w *world) proves(t *testing.T, p *fork.Proof, what fork.What, signer string) {
	t.Helper()
	packed, err := p.Pack()
	must(t, err)
	read, err := fork.Parse(packed)
	must(t, err)
	found, err := read.Verify(w.policy)
	must(t, err)
	if found.What != what || found.Party.Name != signer {
		t.Errorf("it proves %s of %s, not %s of %s", found.What, found.Party.Name, what, signer)
	}
	folder := t.TempDir()
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	must(t, err)
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		data, err := io.ReadAll(r)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(folder, f.Name), data, 0o600))
	}
	root := filepath.Join(t.TempDir(), "root.pem")
	must(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.pki.Root.Certificate.Raw}), 0o600))
	out, err := exec.Command("sh", filepath.Join(folder, "verify.sh"), root).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PROVED: a fork") || !strings.Contains(string(out), "that they "+string(what)) {
		t.Errorf("verify.sh: %v\n%s", err, out)
	}
}

// endsForked takes what comes up to the end of a conversation, and returns the proof among it.
func endsForked(t *testing.T, c *peer.Conversation) (p *fork.Proof) {
	t.Helper()
	for {
		e, err := c.Next(t.Context())
		must(t, err)
		switch e := e.(type) {
		case *peer.Forked:
			p = e.Proof
		case *peer.Closed:
			if _, diverged := errors.AsType[*peer.DivergedError](e.Why); e.Number != wire.CodeIntegrity || !diverged {
				t.Errorf("closed with %v: %v", e.Number, e.Why)
			}
			return p
		}
	}
}

// reseal seals the same place again with another value.
func reseal(h wire.Head, p *wire.Place) wire.Head {
	q := *p
	q.T[7] ^= 1
	if p == h.Mine {
		h.Mine = &q
	} else {
		h.Yours = q
	}
	return h
}

// A person who seals two values for one place, at a relay that passes it on, ends the conversation and nothing else, and leaves the other one with a
// proof. Who seals one false value only leaves none.
func TestPersonForks(t *testing.T) {
	for _, c := range []struct {
		name   string
		onDisk bool
		lie    func(bob *evilTalk, first wire.Head)
		proves fork.What // empty: nothing
	}{
		{"what was sent", false, func(bob *evilTalk, _ wire.Head) {
			h := bob.inner.Closing()
			bob.at.write(bob.lane, bob.at.seal(bob.sealer, reseal(h, h.Mine))...)
		}, fork.Sent},
		{"what was sent long ago", true, func(bob *evilTalk, first wire.Head) {
			bob.at.write(bob.lane, bob.at.seal(bob.sealer, reseal(first, first.Mine))...)
		}, fork.Sent},
		{"what was received", false, func(bob *evilTalk, _ wire.Head) {
			h, _ := bob.inner.Acknowledging()
			bob.at.write(bob.at.control, bob.at.seal(bob.sealer, reseal(h, &h.Yours))...)
		}, fork.Received},
		{"what was received, beside what was sent", false, func(bob *evilTalk, _ wire.Head) {
			h := bob.inner.Closing()
			bob.at.write(bob.lane, bob.at.seal(bob.sealer, reseal(h, &h.Yours))...)
		}, fork.Received},
		{"once only, what was sent", true, func(bob *evilTalk, _ wire.Head) {
			bob.say("false", forgery{heads: func(_ *evilTalk, _, inner *wire.Head) { inner.Mine.T[0] ^= 1 }})
		}, ""},
		{"once only, what was received", false, func(bob *evilTalk, _ wire.Head) {
			h, _ := bob.inner.Acknowledging()
			h.Yours.Count++
			bob.at.write(bob.at.control, bob.at.seal(bob.sealer, h)...)
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			keeps := func(t *testing.T, cfg *peer.Config) {
				if c.onDisk {
					cfg.Store = storetest.NewDisk().Open(t)
				}
			}
			inLairAs(t, keeps, func(t *testing.T, w *lair) {
				bob, a := w.calls(t, w.card("bob"))
				carol, a2 := w.calls(t, w.card("carol"))
				chat(t, bob, a)
				first := bob.sealed.Head
				chat(t, bob, a)
				chat(t, bob, a)
				c.lie(bob, first)
				p := endsForked(t, a)
				w.told(t, bob, wire.CodeIntegrity)
				chat(t, carol, a2)
				if c.proves == "" {
					if p != nil {
						t.Errorf("a proof of what was sealed once: %+v", p)
					}
					return
				}
				if p == nil {
					t.Fatal("no proof")
				}
				w.proves(t, p, c.proves, bob.own.Name)
			})
		})
	}
}

// A relay that seals two values for one place of its own lanes loses the session, and leaves its peer with a proof.
func TestRelayForks(t *testing.T) {
	for _, c := range []struct {
		name   string
		lie    func(e *evil, lane *evilLane)
		proves fork.What
	}{
		{"what it received", func(e *evil, lane *evilLane) {
			h, _ := lane.Acknowledging()
			e.write(e.control, e.seal(e.sealer, reseal(h, &h.Yours))...)
		}, fork.Received},
		{"what it sent", func(e *evil, lane *evilLane) {
			h := lane.Closing()
			e.write(lane, e.seal(e.sealer, reseal(h, h.Mine))...)
		}, fork.Sent},
		{"what it received of a person's requests", func(e *evil, _ *evilLane) {
			h, _ := e.control.Acknowledging()
			e.write(e.control, e.seal(e.sealer, reseal(h, &h.Yours))...)
		}, fork.Received},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLair(t, func(t *testing.T, w *lair) {
				bob, a := w.calls(t, w.card("bob"))
				chat(t, bob, a)
				_, err := w.asks(t)
				must(t, err)
				c.lie(w.relay, bob.lane)
				f := sessionNext[*peer.Forked](t, w.victim)
				w.sessionEnds(t, wire.CodeIntegrity)
				w.proves(t, f.Proof, c.proves, relayName)
			})
		})
	}
}

// asks has the victim ask the evil relay who is there.
func (l *lair) asks(t *testing.T) (people []peer.Person, err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		people, err = l.victim.List(t.Context())
	}()
	asked := answerOf(l.relay, func(wire.List) bool { return true })
	l.relay.send(l.relay.control, wire.EnvelopeControl, wire.Peers{Req: asked.Req}.Append(nil))
	soon(t, done)
	return people, err
}
