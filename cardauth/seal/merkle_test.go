package seal_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"sinete/cardauth/seal"
	"sinete/wire"
)

// Computed by another implementation from the text of section 4.2.
func TestMerkleKnownAnswer(t *testing.T) {
	var leaves [][32]byte
	for i := range 4 {
		var salt [16]byte
		for j := range salt {
			salt[j] = byte(i)
		}
		leaves = append(leaves, seal.Leaf(wire.PurposeHead, salt, fmt.Appendf(nil, "statement %d", i)))
	}
	for _, c := range []struct {
		name string
		got  [32]byte
		want string
	}{
		{"leaf", leaves[0], "bf8614bf9a7b8303cf810b36c52bb69173e9d2fa674fb6b7235ea905cbe44901"},
		{"node", seal.Node(leaves[0], leaves[1]), "ab3e0df1362dee3f2f5729dbdf40f720c15e9839e3d342be16cc284257fb24e5"},
		{"root", seal.NewTree(leaves).Root(), "8ea80cb78d121b542fbe8a694e495c289bf536b54b850decec06d39ec0c39bbf"},
	} {
		if got := hex.EncodeToString(c.got[:]); got != c.want {
			t.Errorf("%s is %s, want %s", c.name, got, c.want)
		}
	}
}

// mth is the definition of RFC 9162 section 2.1.1 for a power of two of leaves that are hashed already.
func mth(d [][32]byte) [32]byte {
	if len(d) == 1 {
		return d[0]
	}
	l, r := mth(d[:len(d)/2]), mth(d[len(d)/2:])
	return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
}

func TestTreeIsThatOfRFC9162(t *testing.T) {
	for n := 1; n <= 512; n *= 2 {
		leaves := make([][32]byte, n)
		for i := range leaves {
			leaves[i] = sha256.Sum256([]byte{byte(i), byte(i >> 8)})
		}
		tree := seal.NewTree(leaves)
		if tree.Root() != mth(leaves) {
			t.Fatalf("%d leaves: another root than RFC 9162's", n)
		}
		for i, leaf := range leaves {
			path := tree.AppendPath(nil, i)
			if len(path) != tree.Height() {
				t.Fatalf("%d leaves: a path of %d", n, len(path))
			}
			if root, ok := seal.RootOf(leaf, uint32(n), uint32(i), path); !ok || root != tree.Root() {
				t.Fatalf("%d leaves: path %d does not lead to the root", n, i)
			}
		}
	}
}

func TestPaddedLeaves(t *testing.T) {
	for n, want := range map[int]int{1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 4096: 4096, 4097: 8192, 65536: 65536} {
		if got := seal.PaddedLeaves(n); got != want {
			t.Errorf("PaddedLeaves(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestShapesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		leaves, index uint32
		path          int
		ok            bool
	}{
		{1, 0, 0, true}, {4, 3, 2, true}, {1 << 16, 1<<16 - 1, 16, true},
		{0, 0, 0, false}, {1, 1, 0, false}, {1, 0, 1, false}, {4, 4, 2, false}, {4, 3, 1, false}, {4, 3, 3, false},
		{3, 0, 1, false}, {5, 0, 2, false}, {1 << 17, 0, 17, false}, {1 << 31, 0, 31, false},
	} {
		if _, ok := seal.RootOf([32]byte{}, c.leaves, c.index, make([][32]byte, c.path)); ok != c.ok {
			t.Errorf("%d leaves, index %d, a path of %d: %v", c.leaves, c.index, c.path, ok)
		}
	}
}
