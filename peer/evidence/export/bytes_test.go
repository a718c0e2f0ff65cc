package export

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"sinete/peer/evidence"
	"sinete/peer/evidence/internal/bundle"
)

// refused checks that a bundle is refused for what it is.
func refused(t *testing.T, what string, bundle []byte) {
	t.Helper()
	r, err := evidence.Verify(bundle, nil)
	var (
		line *evidence.LineError
		file *evidence.FileError
	)
	if err == nil || r != nil || !errors.As(err, &line) && !errors.As(err, &file) {
		t.Errorf("%s: %v, %v", what, r, err)
	}
}

// remade is the bundle of these files, with a manifest that fits and whatever else follows from them.
func remade(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	again := maps.Clone(files)
	again[bundle.Manifest] = bundle.ManifestOf(again)
	b, err := bundle.Pack(again)
	must(t, err)
	return b
}

// small is a bundle of one message among others, with a receipt, a delegation and a rekeying in it.
func small(t testing.TB) *Exported {
	t.Helper()
	s := shortStory(t, byDelegation, p256)
	s.says(s.ana, "", "one")
	s.rekey()
	s.says(s.ana, "two")
	s.confirms(s.rui)
	return s.export(s.ana, Range{true, 0, 0})
}

// Whatever byte of a bundle is changed, it proves nothing.
func TestEveryByteOfTheBundle(t *testing.T) {
	x := small(t)
	for i := range x.Bundle {
		b := bytes.Clone(x.Bundle)
		b[i] ^= 1
		refused(t, "a byte", b)
	}
	for i := range x.Bundle {
		refused(t, "a beginning", x.Bundle[:i])
	}
	refused(t, "a byte more", append(bytes.Clone(x.Bundle), 0))
}

// Whatever byte of a file is changed, it proves nothing even where the manifest was made to fit.
func TestEveryByteOfEachFile(t *testing.T) {
	x := small(t)
	files, err := bundle.Unpack(x.Bundle)
	must(t, err)
	if _, err := evidence.Verify(remade(t, files), nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == bundle.Manifest {
			continue
		}
		for i := range files[name] {
			if bundle.Derived(name) && i%50 != 0 {
				continue // these are compared as a whole, after all else
			}
			changed := maps.Clone(files)
			changed[name] = bytes.Clone(files[name])
			changed[name][i] ^= 1
			refused(t, name, remade(t, changed))
		}
		without := maps.Clone(files)
		delete(without, name)
		refused(t, "without "+name, remade(t, without))
		without[name] = files[name][:len(files[name])-1]
		refused(t, "less of "+name, remade(t, without))
		without[name] = append(bytes.Clone(files[name]), '\n')
		refused(t, "more of "+name, remade(t, without))
	}
	spare := maps.Clone(files)
	spare["text-2.txt"] = []byte("one more")
	refused(t, "a spare file", remade(t, spare))
}
