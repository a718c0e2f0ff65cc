package evidence

import (
	"bytes"
	"maps"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sinete/peer/evidence/internal/bundle"
)

// old are the files of a bundle that was made once, so that all who fuzz have the same; with the script of today.
func old(t testing.TB) map[string][]byte {
	t.Helper()
	b, err := os.ReadFile("testdata/old.zip")
	must(t, err)
	files, err := bundle.Unpack(b)
	must(t, err)
	files[bundle.Script] = script
	return files
}

// Whatever somebody makes of a proof, and fits the manifest to: it is refused, or says what the genuine one says.
func FuzzProof(f *testing.F) {
	files := old(f)
	genuine := files[bundle.Proof]
	want, err := read(files)
	must(f, err)
	f.Add(genuine)
	f.Add(bytes.ReplaceAll(genuine, []byte("hidden"), []byte("message")))
	f.Add([]byte(bundle.FirstLine + "\n" + bundle.LastLine + "\n"))
	f.Fuzz(func(t *testing.T, proof []byte) {
		changed := maps.Clone(files)
		changed[bundle.Proof] = proof
		r, err := read(changed)
		switch {
		case err != nil && bytes.Equal(proof, genuine):
			t.Error(err)
		case err == nil && !cmp.Equal(r.Messages, want.Messages):
			t.Errorf("it says %+v", r.Messages)
		}
	})
}

// No bytes make the verifier do anything but refuse.
func FuzzBundle(f *testing.F) {
	files := old(f)
	files[bundle.Manifest] = bundle.ManifestOf(files)
	genuine, err := bundle.Pack(files)
	must(f, err)
	f.Add(genuine)
	f.Add(genuine[:100])
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Verify(b, nil); err == nil && !bytes.Equal(b, genuine) {
			t.Error("taken")
		}
	})
}
