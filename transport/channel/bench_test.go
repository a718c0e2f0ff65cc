package channel

import (
	"fmt"
	"testing"

	"sinete/wire"
)

// benchPair makes both ends of a channel without a handshake.
func benchPair(kind wire.Kind, suite wire.Suite) (i, r *Channel) {
	p := suites[suite]
	th := make([]byte, p.hash().Size())
	prk := func() []byte { return make([]byte, p.hash().Size()) }
	return newChannel(wire.RoleInitiator, suite, p, kind, prk(), th), newChannel(wire.RoleResponder, suite, p, kind, prk(), th)
}

func benchSuites(b *testing.B, f func(b *testing.B, s wire.Suite)) {
	for _, s := range []wire.Suite{wire.SuiteX25519MLKEM768AES256GCM, wire.SuiteX25519MLKEM768ChaCha20} {
		b.Run(s.String(), func(b *testing.B) { f(b, s) })
	}
}

const benchText = 256

func benchedContent() []byte {
	c := wire.Content{Type: wire.ContentText, Text: string(make([]byte, benchText))}
	return c.Append(nil)
}

// BenchmarkInner makes and opens an inner envelope: ratchet, commitment, AEAD, digest, transcript.
func BenchmarkInner(b *testing.B) {
	benchSuites(b, func(b *testing.B, suite wire.Suite) {
		content := benchedContent()
		b.Run("seal", func(b *testing.B) {
			from, _ := benchPair(wire.KindConversation, suite)
			lane, room := from.Conversation(), make([]byte, 0, 1024)
			b.SetBytes(benchText)
			b.ReportAllocs()
			for b.Loop() {
				lane.Seal(room, wire.Level{}, content)
			}
		})
		b.Run("open", func(b *testing.B) {
			from, to := benchPair(wire.KindConversation, suite)
			sealed := make([]Sealed, b.N)
			for i := range sealed {
				sealed[i] = from.Conversation().Seal(nil, wire.Level{}, content)
			}
			lane, room := to.Conversation(), make([]byte, 0, 1024)
			b.SetBytes(benchText)
			b.ReportAllocs()
			b.ResetTimer()
			for _, s := range sealed {
				e, err := wire.ParseEnvelope(s.Body)
				if err == nil {
					_, _, err = lane.Open(room, &e, s.Digest)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkOuter makes and opens the hop's envelope around an inner one: AEAD, digest, transcript.
func BenchmarkOuter(b *testing.B) {
	benchSuites(b, func(b *testing.B, suite wire.Suite) {
		author, _ := benchPair(wire.KindConversation, suite)
		inner := author.Conversation().Seal(nil, wire.Level{}, benchedContent())
		b.Run("seal", func(b *testing.B) {
			from, _ := benchPair(wire.KindHop, suite)
			lane, room := from.Hop(0), make([]byte, 0, 1024)
			b.SetBytes(benchText)
			b.ReportAllocs()
			for b.Loop() {
				lane.SealInner(room, inner.Body, [][32]byte{inner.Digest})
			}
		})
		b.Run("open", func(b *testing.B) {
			from, to := benchPair(wire.KindHop, suite)
			out, in := from.Hop(0), to.Hop(0)
			bodies := make([][]byte, b.N)
			for i := range bodies {
				frame, err := wire.ParseFrame(out.SealInner(nil, inner.Body, [][32]byte{inner.Digest}))
				if err != nil {
					b.Fatal(err)
				}
				bodies[i] = frame.Body
			}
			room := make([]byte, 0, 1024)
			b.SetBytes(benchText)
			b.ReportAllocs()
			b.ResetTimer()
			for _, body := range bodies {
				if _, err := in.Open(room, body); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkTranscript adds the envelopes of a flight, seals the place and acknowledges it.
func BenchmarkTranscript(b *testing.B) {
	for _, n := range []int{1, wire.MaxFlight} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := newTranscript(0, make([]byte, 32), 0, wire.RoleInitiator.Sends())
			b.ReportAllocs()
			for b.Loop() {
				for range n {
					t.add(benchText, [32]byte{})
				}
				if _, err := t.Acknowledge(t.Seal()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
