package systemtest

import (
	"testing"

	"sinete/transport/channel"
	"sinete/wire"
)

// One side is an epoch behind, as a machine would be that was set back: that conversation ends, and no other; the next one between the
// two is there at once, and takes new keys as any other.
func TestOneSideBehind(t *testing.T) {
	for name, test := range map[string]struct {
		does   func(w *world, talk *evilTalk, th, said []byte) // with TH and an envelope of the epoch before
		number wire.Code
	}{
		"it begins a rekeying": {func(w *world, talk *evilTalk, th, _ []byte) {
			go talk.rekey(w, func(c *channel.Config) { c.Context = wire.RekeyContext{Channel: talk.channel.ID, TH: th}.Append(nil) }, nil)
		}, wire.CodeWrongContext},
		"it says something": {func(_ *world, talk *evilTalk, _, said []byte) {
			talk.put(forgery{}, said)
			talk.close(forgery{})
		}, wire.CodeIntegrity},
	} {
		t.Run(name, func(t *testing.T) {
			simulated(t, nil, func(t *testing.T, w *world) {
				birds := newCanary(t, w)
				alice, card := w.login(w.card("alice")), w.card("rui")
				contact := w.evilPeer(t, card)
				for range 3 {
					talk := contact.connect(w, alice.Identity())
					talk.chain = card.Chain()
					a := opened(t, alice)
					chat(t, talk, a)
					th, said := talk.channel.TH(), talk.said
					must(t, talk.rekey(w, nil, nil))
					talk.post(talk.turn())
					talk.turned()
					chat(t, talk, a)
					if a.Epoch() != 1 {
						t.Fatalf("epoch %d", a.Epoch())
					}
					test.does(w, talk, th, said)
					heardNothing(t, a, test.number)
					talk.closed(test.number)
					birds.sings(t)
				}
			})
		})
	}
}
