package wire

import "testing"

var sink byte

func BenchmarkAppendEnvelope(b *testing.B) {
	e := envelope(Header{Seq: 1000, Type: EnvelopeContent, Label: secret}, 200)
	buf := make([]byte, 0, 1024)
	b.SetBytes(int64(len(e.RawHeader) + len(e.Ciphertext)))
	b.ReportAllocs()
	for b.Loop() {
		buf = append(e.Header.Append(buf[:0]), e.Ciphertext...)
	}
	sink = buf[0]
}

func BenchmarkParseEnvelope(b *testing.B) {
	for _, v := range []struct {
		name  string
		label Level
	}{{"bare", Level{Rank: 3}}, {"compartments", secret}} {
		b.Run(v.name, func(b *testing.B) {
			e := envelope(Header{Seq: 1000, Type: EnvelopeContent, Label: v.label}, 200)
			body := append(e.RawHeader, e.Ciphertext...)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseEnvelope(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInnerDigest(b *testing.B) {
	e := envelope(Header{Seq: 1000, Type: EnvelopeContent, Label: secret}, 200)
	b.SetBytes(int64(len(e.RawHeader) + len(e.Ciphertext)))
	b.ReportAllocs()
	for b.Loop() {
		sink = InnerDigest(e.RawHeader, e.Ciphertext)[0]
	}
}

func BenchmarkNextTranscript(b *testing.B) {
	t, d := data32("transcript"), data32("digest")
	b.ReportAllocs()
	for b.Loop() {
		t = NextTranscript(t, d)
	}
	sink = t[0]
}

func BenchmarkCommitment(b *testing.B) {
	h := Header{Seq: 1000, Type: EnvelopeContent, Label: secret}
	header, content := h.AppendUncommitted(nil), data("content", 200)
	b.SetBytes(int64(len(header) + len(content)))
	b.ReportAllocs()
	for b.Loop() {
		sink = Commitment(benchKey, benchKey, 0, RoleInitiator.Sends(), header, content)[0]
	}
}

var benchKey = data32("key")

// BenchmarkParseSealFrame reads what closes a flight: an inner and an outer head from a batch of 64.
func BenchmarkParseSealFrame(b *testing.B) {
	body := sealFrame(64, 0, 1).Append(nil)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseSealFrame(body); err != nil {
			b.Fatal(err)
		}
	}
}
