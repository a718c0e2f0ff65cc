package wire

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func compartments(n int) (c []string) {
	for i := range n {
		c = append(c, string(rune('a'+i)))
	}
	return c
}

func suites(n int) (s []Suite) {
	for i := range n {
		s = append(s, Suite(i))
	}
	return s
}

func many(n, size int) (v [][]byte) {
	for range n {
		v = append(v, make([]byte, size))
	}
	return v
}

func text(n int) string { return strings.Repeat("x", n) }

// TestLimits accepts the last value that section 10 or a layout allows and refuses the first beyond it.
func TestLimits(t *testing.T) {
	for _, l := range []struct {
		what, structure string
		last            int
		code            Code
		build           func(n int) []byte
	}{
		{"frame body", "frame", MaxFrameBody, CodeLimitExceeded, func(n int) []byte {
			return append(AppendVarint([]byte{byte(FrameEnvelope)}, uint64(n)), make([]byte, n)...)
		}},
		{"hello", "hello", MaxHandshake, CodeLimitExceeded, func(n int) []byte {
			b := bytesOf("hello", "shortest-context")
			return append(b, make([]byte, n-len(b))...)
		}},
		{"answer", "answer", MaxHandshake, CodeLimitExceeded, func(n int) []byte {
			return answerWith(func(a *Answer) { a.Share.Data = make([]byte, n-len(bytesOf("answer", "hop"))+len(a.Share.Data)) })
		}},
		{"accept", "accept", MaxHandshake, CodeLimitExceeded, func(n int) []byte {
			a := *accepts[0].value
			a.Parameters = make([]byte, n-len(a.Append(nil))+len(a.Parameters))
			return a.Append(nil)
		}},
		{"versions", "hello", MaxVersions, CodeMalformed, func(n int) []byte {
			return helloWith(func(h *Hello) {
				h.Versions = nil
				for i := range n {
					h.Versions = append(h.Versions, uint16(i))
				}
			})
		}},
		{"suites", "hello", MaxSuites, CodeMalformed, func(n int) []byte { return helloWith(func(h *Hello) { h.Suites = suites(n) }) }},
		{"shares", "hello", MaxShares, CodeMalformed, func(n int) []byte {
			return helloWith(func(h *Hello) {
				h.Shares = nil
				for i := range n {
					h.Shares = append(h.Shares, Share{Group: Group(i)})
				}
			})
		}},
		{"chain", "hello", MaxChain, CodeMalformed, func(n int) []byte { return helloWith(func(h *Hello) { h.Chain = many(n, 1) }) }},
		{"certificate", "hello", MaxCertificate, CodeMalformed, func(n int) []byte {
			return helloWith(func(h *Hello) { h.Chain = many(MaxChain, n) })
		}},
		{"staples", "answer", MaxChain, CodeMalformed, func(n int) []byte {
			return answerWith(func(a *Answer) { a.Chain, a.Staples = many(MaxChain, 1), many(n, 1) })
		}},
		{"staple", "answer", MaxStaple, CodeMalformed, func(n int) []byte {
			return answerWith(func(a *Answer) { a.Chain, a.Staples = many(MaxChain, 1), many(MaxChain, n) })
		}},
		{"relay's display name", "hop-parameters", MaxName, CodeMalformed, func(n int) []byte { return (&HopParameters{Relay: text(n)}).Append(nil) }},
		{"relay's name", "hop-context", MaxName, CodeMalformed, func(n int) []byte { return HopContext{Relay: text(n)}.Append(nil) }},
		{"deployment", "delegation", MaxName, CodeMalformed, func(n int) []byte { return Delegation{Deployment: text(n)}.Append(nil) }},
		{"identity asking", "conversation-context", MaxIdentity, CodeMalformed, func(n int) []byte { return ConversationContext{Asking: text(n)}.Append(nil) }},
		{"identity asked for", "conversation-context", MaxIdentity, CodeMalformed, func(n int) []byte { return ConversationContext{AskedFor: text(n)}.Append(nil) }},
		{"signature", "seal", MaxSignature, CodeMalformed, func(n int) []byte {
			return with(seals[0].value, func(s *Seal) { s.Signature = make([]byte, n) }).Append(nil)
		}},
		{"log2 of leaves", "seal", MaxPath, CodeMalformed, func(n int) []byte {
			return Seal{Signature: []byte{1}, Leaves: 1 << n, Path: make([][32]byte, n)}.Append(nil)
		}},
		{"log2 of leaves in a frame", "seal-frame", MaxPath, CodeMalformed, func(n int) []byte {
			return SealFrame{{Seal: Seal{Signature: []byte{1}, Leaves: 1 << n, Path: make([][32]byte, n)}, Head: heads[0].value}}.Append(nil)
		}},
		{"entries", "seal-frame", MaxSealEntries, CodeMalformed, func(n int) []byte {
			f := SealFrame{}
			for range n {
				f = append(f, sealFrame(1, 0)[0])
			}
			return f.Append(nil)
		}},
		{"compartments", "control", MaxCompartments, CodeMalformed, func(n int) []byte { return levelWith(compartments(n)...) }},
		{"compartment", "control", MaxCompartment, CodeMalformed, func(n int) []byte { return levelWith(text(n)) }},
		{"compartments of a label", "envelope", MaxCompartments, CodeMalformed, func(n int) []byte {
			return envelopeWith(func(h *Header) { h.Label.Compartments = compartments(n) })
		}},
		{"texts", "envelope", MaxTexts, CodeMalformed, func(n int) []byte { return textsEnvelopeWith(0, Level{}, n, 16) }},
		{"compartments of a label of texts", "envelope", MaxCompartments, CodeMalformed, func(n int) []byte {
			return textsEnvelopeWith(0, Level{1, compartments(n)}, 2, 16)
		}},
		{"entries of peers", "control", MaxPeersEntries, CodeMalformed, func(n int) []byte {
			m := Peers{}
			for range n {
				m.Entries = append(m.Entries, bare)
			}
			return m.Append(nil)
		}},
		{"name", "control", MaxName, CodeMalformed, func(n int) []byte {
			return Peers{Entries: []PeerEntry{{ID: 1, Name: text(n), Suites: offer}}}.Append(nil)
		}},
		{"identity", "control", MaxIdentity, CodeMalformed, func(n int) []byte {
			return Peers{Entries: []PeerEntry{{ID: 1, Identity: text(n), Suites: offer}}}.Append(nil)
		}},
		{"suites of connect", "control", MaxSuites, CodeMalformed, func(n int) []byte { return Connect{ID: 1, Suites: suites(n)}.Append(nil) }},
		{"text", "content", MaxText, CodeMalformed, func(n int) []byte { return contentWith(func(c *Content) { c.Text = text(n) }) }},
		{"first of two texts", "texts", MaxText, CodeMalformed, func(n int) []byte {
			return textsWith(func(first, _ *Content) { first.Text = text(n) })
		}},
		{"last of two texts", "texts", MaxText, CodeMalformed, func(n int) []byte {
			return textsWith(func(_, second *Content) { second.Text = text(n) })
		}},
		{"length of the first of two texts, whatever its bytes", "texts", MaxText, CodeMalformed, func(n int) []byte {
			b := textsWith(func(first, _ *Content) { first.Text = text(MaxText) })
			return slices.Replace(b, 59, 59+VarintLen(MaxText), AppendVarint(nil, uint64(n))...)
		}},
		{"suites of refused", "control", MaxSuites, CodeMalformed, func(n int) []byte {
			return Refused{Number: CodeSuiteUnsupported, Suites: suites(n)}.Append(nil)
		}},
		{"description", "content", MaxDescription, CodeMalformed, func(n int) []byte {
			return (&Content{Type: ContentMachine, Machine: Machine{Description: text(n)}}).Append(nil)
		}},
	} {
		t.Run(l.what, func(t *testing.T) {
			s := structureOf(t, l.structure)
			b := l.build(l.last)
			if _, again, err := s.reencode(b); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%d: %v", l.last, err)
			}
			_, _, err := s.reencode(l.build(l.last + 1))
			wantCode(t, err, l.code)
		})
	}
}

// TestLongProofIsRefused: no proof that is well formed reaches the limit, so it has no place in the table above.
func TestLongProofIsRefused(t *testing.T) {
	_, err := ParseProof(make([]byte, MaxHandshake+1))
	wantCode(t, err, CodeLimitExceeded)
}

// sharedText is peer.SharedBytes: how many bytes of text share an envelope at most.
const sharedText = 16 << 10

// TestLargestFits checks that what the limits allow one by one fits where it travels: in a frame, under an outer envelope.
func TestLargestFits(t *testing.T) {
	far := Header{Epoch: maxVarint, Seq: maxVarint, Type: EnvelopeInner}
	inner := far
	inner.Type = EnvelopeContent
	inner.Label = largest
	if !largest.Valid() {
		t.Fatal("the largest level is not valid")
	}
	several := textsHeader(maxVarint-MaxTexts, largest, MaxTexts)
	several.Epoch = maxVarint
	together := manyTexts(MaxTexts, sharedText/MaxTexts)
	for i := range together {
		together[i].Number = maxVarint
	}
	outer := len(far.Append(nil)) + MinCiphertext
	text := Content{Type: ContentText, Number: maxVarint, Text: strings.Repeat("x", MaxText)}
	suites := make([]Suite, MaxSuites)
	e := PeerEntry{Name: strings.Repeat("x", MaxName), Identity: strings.Repeat("x", MaxIdentity), Level: largest, Suites: suites}
	peers := Peers{Req: maxVarint}
	for range MaxPeersEntries {
		peers.Entries = append(peers.Entries, e)
	}
	for what, n := range map[string]int{
		"a text":              outer + len(inner.Append(nil)) + MinCiphertext + len(text.Append(nil)),
		"several texts":       outer + len(several.Append(nil)) + MinCiphertext + len(AppendTexts(nil, together)),
		"a handshake message": outer + len(AppendFrameHeader(nil, FrameHello, MaxHandshake)) + MaxHandshake,
		"a peers message":     outer + len(peers.Append(nil)),
	} {
		if n > MaxFrameBody {
			t.Errorf("%s makes an envelope of %d bytes, a frame holds %d", what, n, MaxFrameBody)
		}
	}
}
