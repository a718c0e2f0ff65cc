package main

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"sinete/cardauth"
	"sinete/cardauth/fork"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/internal/trialpki"
	"sinete/peer"
	"sinete/peer/presence"
	"sinete/peer/store"
	"sinete/wire"
)

func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(store.Options{Dir: dir, Owner: store.Owner{Identity: "BI1@a", Name: "Ana"}, Protection: store.Protection{Kind: store.Unprotected}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keeps runs commands in a chat with a store, and returns what it shows of each.
func keeps(t *testing.T, s *fakeSession, kept *store.Store, commands ...string) []string {
	t.Helper()
	var out lockedBuffer
	c := newChat(s, screen.New(&terminal.Terminal{Stdout: &out}, true), nil)
	c.store = kept
	go c.follow()
	synctest.Wait()
	out.take()
	in := terminal.NewInput(strings.NewReader(strings.Join(commands, "\n")))
	for c.obey(t.Context(), in) {
	}
	_ = s.Close(t.Context())
	<-c.over
	var shown []string
	for _, l := range out.take() {
		if !strings.HasPrefix(string(l), `{"event":"conversation"`) {
			shown = append(shown, string(l))
		}
	}
	return shown
}

func want(t *testing.T, got []string, prefixes ...string) {
	t.Helper()
	for i := range max(len(got), len(prefixes)) {
		if i >= len(got) || i >= len(prefixes) || !strings.HasPrefix(got[i], prefixes[i]) {
			t.Fatalf("got  %q\nwant %q", got, prefixes)
		}
	}
}

// What is stored is told; history shows it of whoever is meant, by number, name or identity, here or not.
func TestChatWithAStore(t *testing.T) {
	kept := openStore(t, t.TempDir())
	defer kept.Close()
	for identity, name := range map[string]string{"BI2@a": "Rui", "BI7@a": "Zé"} {
		if _, err := kept.Contact(identity, name).Add("to " + name); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		s.opens(0, known(peer.MachineNew))
		entry := `{"event":"history-entry","name":"`
		end := `{"event":"history","entries":1}`
		want(t, keeps(t, s, kept, "send##2##a\nsend##2##b", "history#2", "history#rui", "history#BI7@a", "history#Zé", "history#Eva", "history#9"),
			`{"event":"state","id":2,"name":"Rui","first":2,"last":3,"state":"queued"}`,
			entry+`Rui","identity":"BI2@a","direction":"out","seq":0,`, end, entry+`Rui"`, end, entry+`Zé"`, end, entry+`Zé"`, end,
			refusal("history", "unknown-contact"), refusal("history", "unknown-peer"))
	})
}

// A chat that opens its store from the state finds damage of before when the history is read: it is told once, and before the end of the history.
func TestHistoryOfADamagedStore(t *testing.T) {
	dir := t.TempDir()
	kept := openStore(t, dir)
	for _, text := range []string{"one", "two", "three"} {
		if _, err := kept.Contact("BI2@a", "Rui").Add(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := kept.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "journal"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	kept = openStore(t, dir)
	defer kept.Close()
	if damage := kept.Damage(); len(damage) > 0 {
		t.Fatalf("%v is known already", damage)
	}
	synctest.Test(t, func(t *testing.T) {
		entry, end := `{"event":"history-entry"`, `{"event":"history","entries":2}`
		want(t, keeps(t, newFakeSession(), kept, "history#Rui", "history#Rui"),
			entry, entry, `{"event":"warning","code":"store-damaged"`, end, entry, entry, end)
	})
}

// Somebody who was talked with before the program was started can be written to before they are seen.
func TestSendToSomebodyOfBefore(t *testing.T) {
	kept := openStore(t, t.TempDir())
	defer kept.Close()
	kept.Contact("BI7@a", "Zé")
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		want(t, keeps(t, s, kept, "send##Zé##hi", "send##BI7@a##ho", "send##Eva##no", "send##3##no"),
			`{"event":"state","id":0,"name":"Zé","first":0,"last":0,"state":"queued"}`, `{"event":"state","id":0,`,
			refusal("send", "not-connected"), refusal("send", "not-connected"))
		if got := strings.Join(s.queued, "|"); got != "BI7@a hi|BI7@a ho" {
			t.Error(got)
		}
	})
}

func TestNothingKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want(t, keeps(t, newFakeSession(), nil, "history#2", "evidence#2##x", "send##Zé##hi"), refusal("history", "store-missing"),
			refusal("evidence", "store-missing"), refusal("send", "not-connected"))
	})
}

// What came before the start, and what failed, is shown; without a store not what was sent.
func TestMissedAndFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newFakeSession()
		c := talkTo(t, s)
		c.shows(sessionOpen)
		s.events <- happening{event: &peer.Missed{Identity: "BI2@a", Name: "Rui", Message: *text(4, "early")}}
		c.shows(ruiMessageEarly)
		conversation := s.opens(0, known(peer.MachineKnown))
		c.shows(ruiOpen)
		conversation.events <- &peer.Progress{First: 3, Last: 5, State: store.Sent}
		conversation.events <- &peer.Progress{First: 6, Last: 6, State: store.Failed, Reason: 19}
		c.shows(`{"event":"state","id":2,"name":"Rui","first":6,"last":6,"state":"failed","reason":"`)
		c.says([]string{"disconnect"}, ruiClosed, sessionClosed+`bye"}`)
		c.leaves(0)
	})
}

const ruiMessageEarly = `{"event":"message","id":0,"seq":4,"text":"early","sent_at":"0001-01-01T00:00:00.000Z","label":0,"earlier":true,"name":"Rui","identity":"BI2@a"}`

// The whole program opens the store of the card's owner before it asks for the PIN, closes it, and says what is wrong with it.
func TestRunWithAStore(t *testing.T) {
	dir := t.TempDir()
	w, err := trialpki.Create(dir, trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	card := cardFileOf(t, w)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	kept := filepath.Join(dir, "kept")
	run := func(pin string) (status int, out string) {
		var b, errs strings.Builder
		p := &program{Terminal: terminal.Terminal{Stdin: strings.NewReader(""), Stdout: &b, Stderr: &errs},
			login: func(_ context.Context, cfg presence.Config) (session, error) {
				if cfg.Store == nil || !cfg.Store.OnDisk() {
					t.Error("no store on disk")
				}
				return newFakeSession(), nil
			}}
		status = p.run([]string{"chat", "r:1", "--json", "--revocation=off", "--trust", filepath.Join(dir, "trust"), "--card", "soft:" + card + "?pin-value=" + pin,
			"--store", kept})
		return status, b.String()
	}
	for _, fresh := range []string{"true", "false"} { // which shows that the first run has closed it
		status, out := run("12?4")
		if status != 0 || !strings.Contains(out, `"protection":"nothing","new":`+fresh) || !strings.Contains(out, `"code":"store-unprotected"`) {
			t.Errorf("status %d\n%s", status, out)
		}
	}
	if _, out := run("wrong"); !strings.Contains(out, `{"event":"store"`) || !strings.Contains(out, `"code":"pin-wrong"`) {
		t.Errorf("the PIN comes first:\n%s", out)
	}
	if _, out := run("12?4"); !strings.Contains(out, `"state":"open"`) {
		t.Errorf("a wrong PIN leaves the store locked:\n%s", out)
	}
	files, err := filepath.Glob(filepath.Join(kept, "*", "store.json"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	if err := os.WriteFile(files[0], []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out := run("12?4"); status != 1 || !strings.Contains(out, `"code":"store-unreadable"`) {
		t.Errorf("status %d\n%s", status, out)
	}
}

// A card put in the place of the one that the store was opened for is another person's, or a renewed one of the same.
func TestCardsOfOnePerson(t *testing.T) {
	w, err := trialpki.Create(t.TempDir(), trialpki.Options{})
	if err != nil {
		t.Fatal(err)
	}
	issue := func(name string) [][]byte {
		t.Helper()
		i, err := w.IssuePerson(trialpki.Person{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return i.Chain
	}
	policy := &cardauth.Policy{Anchors: []*x509.Certificate{w.Root.Certificate}}
	ana := issue("ana")
	if err := ofOnePerson(policy, ana, issue("ana")); err != nil {
		t.Errorf("a renewed card: %v", err)
	}
	if err := ofOnePerson(policy, ana, issue("rui")); !errors.As(err, new(*store.OwnerError)) {
		t.Errorf("another person's: %v", err)
	}
}

// A proof that somebody has forked is kept beside the store, and told once it is; without a store nothing is kept.
func TestChatKeepsProofOfFork(t *testing.T) {
	heads := [2]wire.SealEntry{}
	for i := range heads {
		heads[i] = wire.SealEntry{Head: wire.Head{Role: wire.RoleResponder, Yours: wire.Place{Count: 1, T: [32]byte{byte(i)}}}, Seal: wire.Seal{Signature: []byte{1}, Leaves: 1}}
	}
	proof := fork.Heads(wire.Credentials{Chain: [][]byte{{1}}}, &heads[0], &heads[1])
	folder := t.TempDir()
	kept := openStore(t, folder)
	defer kept.Close()
	for _, where := range []string{"", folder, folder, "nowhere/at/all"} {
		synctest.Test(t, func(t *testing.T) {
			s := newFakeSession()
			var out lockedBuffer
			c := newChat(s, screen.New(&terminal.Terminal{Stdout: &out}, true), nil)
			if c.folder = where; where != "" {
				c.store = kept
			}
			s.opens(0, known(peer.MachineKnown), &peer.Forked{Proof: proof})
			s.events <- happening{event: &peer.Forked{Proof: proof}}
			go c.follow()
			synctest.Wait()
			var got []string
			for _, l := range out.take() {
				if strings.Contains(string(l), `"warning"`) {
					got = append(got, string(l))
				}
			}
			slices.Sort(got) // conversation and session tell at once
			what := "could not be kept"
			if where == folder {
				what = "The proof is in " + folder
			}
			if where == "" {
				want(t, got)
			} else if want(t, got, `{"event":"warning","code":"fork-proof","id":2,"text":"Rui has`, `{"event":"warning","code":"fork-proof","text":"the relay has`); !strings.Contains(got[0], what) {
				t.Errorf("told %s, not %q", got[0], what)
			}
			_ = s.Close(t.Context())
			<-c.over
		})
	}
	files, err := filepath.Glob(filepath.Join(folder, "fork-*.zip"))
	if err != nil || len(files) != 1 {
		t.Fatalf("kept %q, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil || !fork.Is(b) {
		t.Errorf("kept something else: %v", err)
	}
}
