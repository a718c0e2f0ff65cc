package systemtest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"sinete/internal/link"
	"sinete/peer"
	"sinete/relay"
	"sinete/wire"
)

// sharing is how many texts each inner envelope stood for that a relay took.
type sharing struct {
	mu     sync.Mutex
	shared []int
}

func (s *sharing) capture(_ string, _ uint64, f *link.Received) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range f.Pieces {
		if p.Opened.Type == wire.EnvelopeInner {
			s.shared = append(s.shared, p.Opened.Envelopes())
		}
	}
}

func (s *sharing) take() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := s.shared
	s.shared = nil
	return taken
}

// Texts that wait together share envelopes, as many as fit; one that waits alone, or is long, has its own.
func TestTextsShareEnvelopes(t *testing.T) {
	var came sharing
	simulated(t, func(cfg *relay.Config) { cfg.Capture = came.capture }, func(t *testing.T, w *world) {
		a, b := connect(t, w.login(w.card("alice")), w.login(w.card("bob")))
		talk(t, a, b, "alone")
		came.take() // and the machine statements
		for _, c := range []struct {
			name  string
			texts []string
			want  []int
		}{
			{"one", []string{"alone"}, []int{1}},
			{"two", []string{"not", "alone"}, []int{2}},
			{"more than fit by their number", slices.Repeat([]string{"x"}, 2*wire.MaxTexts+1), []int{wire.MaxTexts, wire.MaxTexts, 1}},
			{"more than fit by their bytes", slices.Repeat([]string{strings.Repeat("x", peer.SharedBytes/4)}, 9), []int{4, 4, 1}},
			{"a long one between short ones", []string{"a", "b", strings.Repeat("x", wire.MaxText), "c", "d"}, []int{2, 1, 2}},
		} {
			first, err := a.SendAll(t.Context(), c.texts...)
			must(t, err)
			for i, text := range c.texts {
				if m := next[*peer.Message](t, b); m.Text != text || m.Number != first+uint64(i) {
					t.Fatalf("%s: message %d of %d bytes came as %d of %d", c.name, first+uint64(i), len(text), m.Number, len(m.Text))
				}
			}
			delivered(t, a, first+uint64(len(c.texts))-1)
			if got := came.take(); !slices.Equal(got, c.want) {
				t.Errorf("%s: envelopes of %d texts, expected %d", c.name, got, c.want)
			}
		}
	})
}

// Texts that share an envelope and are not what they must be end that conversation, at the relay where it can know, else at the recipient.
func TestForgedTexts(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		birds := newCanary(t, w)
		bob, mallory := w.login(w.card("bob")), w.evilPeer(t, w.card("mallory"))
		for _, c := range []struct {
			name   string
			label  func(wire.Level) wire.Level
			change func(*wire.Content)
			number wire.Code
		}{
			{"of other people", nil, func(c *wire.Content) { c.Parties[0] ^= 1 }, wire.CodeIntegrity},
			{"one is empty", nil, func(c *wire.Content) { c.Text = strings.TrimPrefix(c.Text, "second") }, wire.CodeMalformed},
			{"one is no UTF-8", nil, func(c *wire.Content) { c.Text = strings.ReplaceAll(c.Text, "second", "\xff") }, wire.CodeMalformed},
			{"above the author's level", func(l wire.Level) wire.Level { l.Rank++; return l }, nil, wire.CodeFlowDenied},
		} {
			m := mallory.connect(w, bob.Identity())
			b := opened(t, bob)
			label := m.open.Level
			if c.label != nil {
				label = c.label(label)
			}
			m.put(forgery{}, m.shared(label, c.change, "first", "second", "third"))
			m.close(forgery{})
			m.closed(c.number)
			heardNothing(t, b, c.number)
			birds.sings(t)
		}
		m := mallory.connect(w, bob.Identity()) // a flight that counts too many envelopes, though few were written
		b := opened(t, bob)
		texts := slices.Repeat([]string{"x"}, wire.MaxTexts)
		for range wire.MaxFlight/wire.MaxTexts + 1 {
			m.put(forgery{}, m.shared(m.open.Level, nil, texts...))
		}
		m.close(forgery{})
		mallory.thrownOut(wire.CodeLimitExceeded)
		heardNothing(t, b, wire.CodeCut)
		birds.sings(t)
	})
}

// What was not confirmed goes out again in the next conversation, in other company, and each is shown once.
func TestSharedTextsGoAgain(t *testing.T) {
	simulated(t, nil, func(t *testing.T, w *world) {
		alice, bob := w.login(w.card("alice")), w.login(w.card("bob"))
		a, b := connect(t, alice, bob)
		texts := make([]string, 10)
		for i := range texts {
			texts[i] = fmt.Sprint("text ", i)
		}
		first, err := a.SendAll(t.Context(), texts...)
		must(t, err)
		nextThat(t, a, func(r *peer.Receipt) bool { return r.Stage == peer.StageRelay })
		for _, text := range texts[:3] { // of an envelope with ten
			if m := next[*peer.Message](t, b); m.Text != text {
				t.Fatalf("%q where %q was next", m.Text, text)
			}
		}
		must(t, b.Disconnect(t.Context()))
		if c := closing(t, a); c.Queued != len(texts) {
			t.Fatalf("alice's conversation closed with %d queued", c.Queued)
		}
		a, b = connect(t, alice, bob)
		n, err := a.SendAll(t.Context(), "and one more", "and another")
		must(t, err)
		for _, text := range append(texts[3:], "and one more", "and another") {
			if m := next[*peer.Message](t, b); m.Text != text {
				t.Fatalf("%q where %q was next", m.Text, text)
			}
		}
		if n != first+10 {
			t.Errorf("number %d behind %d", n, first+9)
		}
		delivered(t, a, n+1)
	})
}
