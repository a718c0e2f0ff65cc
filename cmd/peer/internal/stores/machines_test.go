package stores

import (
	"testing"
	"testing/synctest"
	"time"

	"sinete/cmd/peer/internal/screen"
	"sinete/peer/store"
)

// A change of somebody's machine stands between the messages before and after it.
func TestHistoryOfMachines(t *testing.T) {
	s := store.NewMemory()
	out := sits()
	shows := func(q store.Query, want ...string) {
		t.Helper()
		if err := Show(t.Context(), s, q, screen.New(&out.Terminal, true)); err != nil {
			t.Error(err)
		}
		out.shown(t, append(want, `{"event":"history"`)...)
	}
	rui, zé := s.Contact("BI2@a", "Rui"), s.Contact("BI3@a", "Zé")
	rui.SpeaksFrom(store.Machine{Hash: [32]byte{1}, Description: "one"})
	zé.SpeaksFrom(store.Machine{Hash: [32]byte{1}, Description: "laptop"})
	shows(store.Query{})
	rui.SpeaksFrom(store.Machine{Hash: [32]byte{2}})
	zé.SpeaksFrom(store.Machine{Hash: [32]byte{2}, Description: "tower"})
	since := rui.Machines()[1].Since.UTC().Format("2006-01-02T15:04:05.000Z")
	ofRui := `{"event":"history-machine","name":"Rui","identity":"BI2@a","since":"` + since + `","before":"one","now":""}`
	ofZé := `{"event":"history-machine","name":"Zé","identity":"BI3@a"`
	shows(store.Query{}, ofRui, ofZé)
	shows(store.Query{With: "BI3@a"}, ofZé)
	shows(store.Query{Search: "laptop"})
	shows(store.Query{Since: time.Now().Add(time.Minute)})
	shows(store.Query{Until: time.Now().Add(-time.Minute)})

	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		kept, err := store.Open(store.Options{Dir: dir, Owner: ana, Protection: store.Protection{Kind: store.Unprotected}})
		if err != nil {
			t.Fatal(err)
		}
		defer kept.Close()
		s, rui = kept, kept.Contact("BI2@a", "Rui")
		rui.SpeaksFrom(store.Machine{Hash: [32]byte{1}, Description: "one"})
		entry := `{"event":"history-entry","name":"Rui","identity":"BI2@a","direction":"out","seq":`
		for i, text := range []string{"before", "after"} {
			if _, err := rui.Add(text); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				time.Sleep(time.Second)
				rui.SpeaksFrom(store.Machine{Hash: [32]byte{2}, Description: "two"})
				time.Sleep(time.Second)
			}
		}
		shows(store.Query{}, entry+"0", `{"event":"history-machine","name":"Rui"`, entry+"1")
	})
}
