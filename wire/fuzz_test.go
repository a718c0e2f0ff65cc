package wire

import (
	"bytes"
	"testing"
)

func FuzzVarint(f *testing.F)                 { fuzz(f, "varint") }
func FuzzFrame(f *testing.F)                  { fuzz(f, "frame") }
func FuzzHello(f *testing.F)                  { fuzz(f, "hello") }
func FuzzAnswer(f *testing.F)                 { fuzz(f, "answer") }
func FuzzProof(f *testing.F)                  { fuzz(f, "proof") }
func FuzzAccept(f *testing.F)                 { fuzz(f, "accept") }
func FuzzHopParameters(f *testing.F)          { fuzz(f, "hop-parameters") }
func FuzzConversationParameters(f *testing.F) { fuzz(f, "conversation-parameters") }
func FuzzHopContext(f *testing.F)             { fuzz(f, "hop-context") }
func FuzzConversationContext(f *testing.F)    { fuzz(f, "conversation-context") }
func FuzzRekeyContext(f *testing.F)           { fuzz(f, "rekey-context") }
func FuzzSwitched(f *testing.F)               { fuzz(f, "switched") }
func FuzzRekeyPlease(f *testing.F)            { fuzz(f, "rekey-please") }
func FuzzSeal(f *testing.F)                   { fuzz(f, "seal") }
func FuzzSealFrame(f *testing.F)              { fuzz(f, "seal-frame") }
func FuzzDelegation(f *testing.F)             { fuzz(f, "delegation") }
func FuzzHead(f *testing.F)                   { fuzz(f, "head") }
func FuzzEnvelope(f *testing.F)               { fuzz(f, "envelope") }
func FuzzContent(f *testing.F)                { fuzz(f, "content") }
func FuzzTexts(f *testing.F)                  { fuzz(f, "texts") }
func FuzzMachine(f *testing.F)                { fuzz(f, "machine") }
func FuzzControl(f *testing.F)                { fuzz(f, "control") }
func FuzzProbe(f *testing.F)                  { fuzz(f, "probe") }
func FuzzWaiting(f *testing.F)                { fuzz(f, "waiting") }
func FuzzAuditHead(f *testing.F)              { fuzz(f, "audit-head") }
func FuzzAlive(f *testing.F)                  { fuzz(f, "alive") }

// fuzz looks for bytes with a second encoding, a panic, or an error that says nothing to a caller.
func fuzz(f *testing.F, name string) {
	s := structureOf(f, name)
	if len(s.samples) == 0 {
		f.Fatal("no seeds")
	}
	for _, v := range s.samples {
		f.Add(v.bytes)
	}
	for _, m := range malformed {
		if m.structure == name {
			f.Add(m.bytes)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		value, again, err := s.reencode(b)
		if err != nil {
			wantCode(t, err, CodeMalformed, CodeLimitExceeded)
			return
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("two encodings:\n%x\n%x", b, again)
		}
		switch v := value.(type) {
		case Envelope:
			checkStandsFor(t, v)
		case []Content:
			checkContents(t, v)
		}
	})
}
