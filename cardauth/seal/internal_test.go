package seal

import (
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"sinete/wire"
)

// forKey makes a right seal of the signer's, a different one each time.
func forKey(private ed25519.PrivateKey, s Signer, at uint64) wire.Seal {
	root := Leaf(wire.PurposeHead, [16]byte{}, nil)
	in := wire.SealInput{Signer: s.Digest, Time: at, Leaves: 1, Root: root}
	return wire.Seal{Scheme: s.Scheme, Signature: ed25519.Sign(private, in.Append(nil)), Time: at, Leaves: 1}
}

func TestMemory(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	a := Signer{Key: public, Scheme: wire.SchemeEd25519, Digest: [32]byte{'a'}}
	b := Signer{Key: public, Scheme: wire.SchemeEd25519, Digest: [32]byte{'b'}}
	const remember = 8
	v := NewVerifier(remember)
	verify := func(s Signer, sl wire.Seal) {
		t.Helper()
		if err := v.Verify(s, wire.PurposeHead, nil, sl); err != nil {
			t.Fatal(err)
		}
	}
	known := func(s Signer, sl wire.Seal) bool {
		in := wire.SealInput{Signer: s.Digest, Time: sl.Time, Leaves: 1, Root: Leaf(wire.PurposeHead, [16]byte{}, nil)}
		id, err := memoryID(s, in.Append(nil), sl.Signature)
		if err != nil {
			t.Fatal(err)
		}
		return v.remembers(id)
	}

	used, once := forKey(private, a, 1000), forKey(private, a, 1001)
	verify(a, used)
	verify(a, once)
	for i := range uint64(100) {
		verify(b, forKey(private, b, i))
		if n := len(v.young) + len(v.old); n > remember {
			t.Fatalf("%d signatures remembered, want at most %d", n, remember)
		}
		if !known(a, used) {
			t.Fatalf("after %d others, one in use was forgotten", i)
		}
	}
	if known(a, once) {
		t.Error("one not used was remembered for ever")
	}

	v.Forget(a.Digest)
	if known(a, used) || !known(b, forKey(private, b, 99)) {
		t.Error("Forget did not drop one signer and no other")
	}

	nothing := NewVerifier(0)
	if err := nothing.Verify(a, wire.PurposeHead, nil, used); err != nil || len(nothing.young) != 0 {
		t.Errorf("%v, %d remembered where nothing is to be", err, len(nothing.young))
	}
}

func TestPaceOfQuickKeys(t *testing.T) {
	var p pace
	for i := range 2 {
		p.begin()
		p.end()
		p.times[i] = 50 * time.Microsecond
	}
	p.wait(context.Background())
	if d := time.Since(p.before); d < 400*time.Microsecond {
		t.Errorf("waited %v in all, want 400µs", d)
	}
}

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		times []time.Duration
		want  time.Duration
	}{{[]time.Duration{3}, 3}, {[]time.Duration{9, 1, 8, 2, 7}, 7}, {[]time.Duration{1, 9, 1, 9, 1, 1}, 1}} {
		var p pace
		p.n = copy(p.times[:], c.times)
		if got := p.median(); got != c.want {
			t.Errorf("the median of %v is %v, want %v", c.times, got, c.want)
		}
	}
}
