package channel

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sinete/wire"
)

// textsOf are contents of type text.
func textsOf(texts ...string) (contents []wire.Content) {
	for n, text := range texts {
		contents = append(contents, wire.Content{Parties: [32]byte{1}, ID: [16]byte{byte(n)}, Time: uint64(n), Type: wire.ContentText, Number: uint64(n), Text: text})
	}
	return contents
}

func openTexts(l *ConversationLane, envelope []byte) ([]wire.Content, [][32]byte, error) {
	e, err := wire.ParseEnvelope(envelope)
	if err != nil {
		return nil, nil, err
	}
	if e.Header.Type != wire.EnvelopeTexts {
		return nil, nil, open(l, envelope)
	}
	texts, openings, _, err := l.OpenTexts(nil, &e, e.InnerDigests())
	return texts, openings, err
}

// Texts that share an envelope come as they went, through the hop too, and everybody on the way counts an envelope for each.
func TestTextsInsideHop(t *testing.T) {
	eachSuite(t, func(t *testing.T, s wire.Suite) {
		hopI, hopR := channels(t, wire.KindHop, s)
		out, in := hopI.Hop(4), hopR.Hop(4)
		c, o, i := watching(t, s)
		a, b := c.a, c.b
		many := make([]string, wire.MaxTexts)
		for n := range many {
			many[n] = strings.Repeat(fmt.Sprint(n), 1+n)
		}
		label := wire.Level{Rank: 3, Compartments: []string{strings.Repeat("x", 32), strings.Repeat("y", 32)}}
		count := uint64(0)
		for _, texts := range [][]string{{"one", "two"}, {"alone"}, many, {strings.Repeat("l", 16_000), "s"}} {
			sent := textsOf(texts...)
			var envelope []byte
			var digests, openings [][32]byte
			if len(texts) == 1 {
				sealed := a.Seal(nil, label, sent[0].Append(nil))
				envelope, digests, openings = sealed.Body, [][32]byte{sealed.Digest}, [][32]byte{sealed.Opening}
			} else {
				sealed := a.SealTexts([]byte("before"), label, sent)
				envelope, digests, openings = sealed.Body, sealed.Digests, sealed.Openings
				for k := range sent { // as a judge sees it, who has nothing else
					h := sealed.Header.At(k)
					if h.Seq != count+uint64(k) || wire.InnerDigestOf(h.Append(nil), sealed.Ciphertext) != digests[k] ||
						wire.Commitment(openings[k], i.ID, 0, i.Role.Sends(), h.AppendUncommitted(nil), sent[k].Append(nil)) != h.Commitment {
						t.Fatalf("text %d does not stand alone", k)
					}
				}
			}
			came, err := in.Open(nil, body(t, out.SealInner(nil, envelope, digests)))
			must(t, err)
			if !slices.Equal(came.Digests, digests) || came.Envelopes() != len(texts) {
				t.Fatalf("%d digests of %d texts", len(came.Digests), len(texts))
			}
			must(t, o.Envelope(i.Role, &came.Inner, came.Digests))
			if len(texts) == 1 {
				_, _, err := b.Open(nil, &came.Inner, came.Digests[0])
				must(t, err)
			} else {
				got, keys, _, err := b.OpenTexts(nil, &came.Inner, came.Digests)
				must(t, err)
				if !slices.EqualFunc(got, sent, func(a, b wire.Content) bool { return a == b }) || !slices.Equal(keys, openings) {
					t.Fatalf("%d texts came as %+v", len(sent), got)
				}
			}
			count += uint64(len(texts))
			places := []wire.Place{b.Received.Here(), o.sides[i.Role-1].Here(), out.Sent.Here(), in.Received.Here()}
			if places[0] != a.Sent.Here() || places[1] != places[0] || places[2] != places[3] || places[0].Count != count || places[2].Count != count {
				t.Fatalf("places after %d texts: %+v", count, places)
			}
		}
	})
}

// Whatever somebody on the way alters in an envelope that texts share, none of them is opened.
func TestAlteredTexts(t *testing.T) {
	c, _, _ := newConversation(t, wire.SuiteX25519AES256GCM)
	sealed := c.a.SealTexts(nil, wire.Level{Rank: 2, Compartments: []string{"a"}}, textsOf("attack at dawn", "or not", "at all")).Body
	_, _, err := openTexts(c.b.fork(), sealed)
	must(t, err)
	for n := range sealed {
		if _, _, err := openTexts(c.b.fork(), flipped(sealed, n)); err == nil {
			t.Errorf("byte %d altered", n)
		}
		if _, _, err := openTexts(c.b.fork(), sealed[:n]); err == nil {
			t.Errorf("cut to %d bytes", n)
		}
	}
	if _, _, err := openTexts(c.b.fork(), append(sealed, 0)); err == nil {
		t.Error("a byte more")
	}
}

// What is not the next is refused, and moves nothing on.
func TestTextsOutOfOrder(t *testing.T) {
	c, _, _ := newConversation(t, wire.SuiteX25519AES256GCM)
	first, second := c.a.SealTexts(nil, wire.Level{}, textsOf("one", "two")).Body, c.a.SealTexts(nil, wire.Level{}, textsOf("three", "four")).Body
	refused := func(envelope []byte) {
		t.Helper()
		before := c.b.Received.Here()
		_, _, err := openTexts(c.b, envelope)
		wantCode(t, err, wire.CodeIntegrity)
		if c.b.Received.Here() != before {
			t.Error("the transcript counts what was refused")
		}
	}
	refused(second)
	_, _, err := openTexts(c.b, first)
	must(t, err)
	refused(first)
	_, _, err = openTexts(c.b, second)
	must(t, err)
}

// An author who knows the key can commit to another text than the recipient reads, in one of several, or have other contents behind good commitments.
func TestLiesAmongTexts(t *testing.T) {
	c, i, _ := newConversation(t, wire.SuiteX25519AES256GCM)
	forge := func(said, committed []wire.Content) error {
		evil := c.a.fork()
		opening := evil.out.ratchet.next()
		h := wire.Header{Type: wire.EnvelopeTexts, Commitments: make([][32]byte, len(committed))}
		for k := range committed {
			one := h.At(k)
			h.Commitments[k] = wire.Commitment(wire.TextOpening(&opening, k), i.ID, 0, 1, one.AppendUncommitted(nil), committed[k].Append(nil))
		}
		header := h.Append(nil)
		body := evil.aead(&evil.out.key).Seal(header, evil.out.half.next(1), wire.AppendTexts(nil, said), append(wire.AppendPlace(nil, i.ID, 0, 1), header...))
		_, _, err := openTexts(c.b.fork(), body)
		return err
	}
	honest := textsOf("I owe you 1", "and you", "nothing")
	must(t, forge(honest, honest))
	for k := range honest {
		other := slices.Clone(honest)
		other[k].Text = "I owe you 9"
		wantCode(t, forge(honest, other), wire.CodeIntegrity)
		other[k] = honest[k]
		other[k].Number += 7
		wantCode(t, forge(honest, other), wire.CodeIntegrity)
	}
	swapped := slices.Clone(honest)
	swapped[0], swapped[2] = swapped[2], swapped[0]
	wantCode(t, forge(honest, swapped), wire.CodeIntegrity)
	wantCode(t, forge(honest[:2], honest), wire.CodeMalformed)
	wantCode(t, forge(textsOf("a", "b", "c", "d"), textsOf("a", "b", "c")), wire.CodeMalformed)
	wantCode(t, forge(textsOf("a", "", "c"), textsOf("a", "", "c")), wire.CodeMalformed)
	wantCode(t, forge(textsOf("a", "\xff", "c"), textsOf("a", "\xff", "c")), wire.CodeMalformed)
}

// The key that opens one text's commitment says nothing of its neighbours', and neither is the key that they come from kept.
func TestTextsOpenAlone(t *testing.T) {
	c, _, _ := newConversation(t, wire.SuiteX25519AES256GCM)
	before := c.a.out.state
	sealed := c.a.SealTexts(nil, wire.Level{}, textsOf("one", "two", "three"))
	if sealed.Openings[0] == sealed.Openings[1] || sealed.Openings[1] == sealed.Openings[2] {
		t.Error("texts share an opening key")
	}
	r := ratchet{state: before}
	base := r.next()
	if slices.Contains(sealed.Openings, base) {
		t.Error("a text's opening key is the one that all come from")
	}
	if r.state != c.a.out.state {
		t.Error("the ratchet has not moved on by one")
	}
	if c.a.out.key != [32]byte{} {
		t.Error("the key is still there")
	}
	if again := c.a.SealTexts(nil, wire.Level{}, textsOf("one", "two", "three")); again.Openings[0] == sealed.Openings[0] {
		t.Error("texts of two envelopes share an opening key")
	}
}

// New keys come between envelopes, never within one that stands for several: a lane whose other side has said where it ends takes none that goes beyond,
// also where it is opened after that was said.
func TestTextsBeyondTheEnd(t *testing.T) {
	for _, c := range []struct {
		name  string
		early bool // switched comes before the stream
		last  uint64
		fits  bool
	}{{"open", false, 5, true}, {"open, beyond", false, 4, false}, {"early", true, 5, true}, {"early, beyond", true, 4, false}} {
		t.Run(c.name, func(t *testing.T) {
			person, _, _ := newConversation(t, wire.SuiteX25519AES256GCM)
			i, r := channels(t, wire.KindHop, wire.SuiteX25519AES256GCM)
			i.Hop(0)
			r.Hop(0)
			out := r.Hop(5) // the relay's, who cheats
			var in *HopLane
			if !c.early {
				in = i.Hop(5)
			}
			first, then := person.a.SealTexts(nil, wire.Level{}, textsOf("1", "2")), person.a.SealTexts(nil, wire.Level{}, textsOf("3", "4", "5"))
			frames := [][]byte{body(t, out.SealInner(nil, first.Body, first.Digests)), body(t, out.SealInner(nil, then.Body, then.Digests))}
			rekeyed(t, i, r)
			switched, err := i.Switch()
			must(t, err)
			must(t, r.Switched(switched))
			out.Sent.here.Count = c.last
			switched, err = r.Switch()
			must(t, err)
			must(t, i.Switched(switched))
			if c.early {
				in = i.Hop(5)
			}
			_, err = in.Open(nil, frames[0])
			must(t, err)
			before := in.Received.Here()
			switch _, err = in.Open(nil, frames[1]); {
			case c.fits:
				must(t, err)
				if in.in.epoch != 1 {
					t.Error("the lane is still in the epoch that has ended")
				}
			default:
				wantCode(t, err, wire.CodeIntegrity)
				if in.Received.Here() != before {
					t.Error("the transcript counts what was refused")
				}
			}
		})
	}
}
