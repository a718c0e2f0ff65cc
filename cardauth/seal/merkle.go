package seal

import (
	"crypto/sha256"
	"math/bits"

	"sinete/wire"
)

// Leaf is leaf(purpose, salt, statement) of protocol.md section 4.2.
func Leaf(p wire.Purpose, salt [16]byte, statement []byte) [32]byte {
	var b [1 + 1 + 16 + 32]byte
	b[1] = byte(p)
	copy(b[2:], salt[:])
	h := sha256.Sum256(statement)
	copy(b[18:], h[:])
	return sha256.Sum256(b[:])
}

// Node is node(left, right) of section 4.2.
func Node(left, right [32]byte) [32]byte {
	var b [1 + 32 + 32]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// Tree is a Merkle tree over a power of two of leaves.
type Tree struct {
	// nodes has the root at 1, the children of i at 2i and 2i+1, and so the leaves in its upper half.
	nodes [][32]byte
}

// PaddedLeaves returns the number of leaves of a tree for n statements: the next power of two. n must be positive.
func PaddedLeaves(n int) int { return 1 << bits.Len(uint(n-1)) }

// NewTree builds the tree over leaves, whose number must be a power of two.
func NewTree(leaves [][32]byte) Tree {
	n := len(leaves)
	if n == 0 || n&(n-1) != 0 {
		panic("seal: a number of leaves that is no power of two")
	}
	nodes := make([][32]byte, 2*n)
	copy(nodes[n:], leaves)
	for i := n - 1; i > 0; i-- {
		nodes[i] = Node(nodes[2*i], nodes[2*i+1])
	}
	return Tree{nodes}
}

// Root returns the root.
func (t Tree) Root() [32]byte { return t.nodes[1] }

// Height returns the length of a path.
func (t Tree) Height() int { return bits.Len(uint(len(t.nodes))) - 2 }

// AppendPath appends the siblings of leaf i, from the leaf upwards.
func (t Tree) AppendPath(path [][32]byte, i int) [][32]byte {
	for i += len(t.nodes) / 2; i > 1; i /= 2 {
		path = append(path, t.nodes[i^1])
	}
	return path
}

// RootOf recomputes a seal's root from the leaf of its statement. ok is false where leaves, index and path do not fit each
// other exactly (section 4.3).
func RootOf(leaf [32]byte, leaves, index uint32, path [][32]byte) (root [32]byte, ok bool) {
	if leaves == 0 || leaves > wire.MaxLeaves || leaves&(leaves-1) != 0 || index >= leaves ||
		len(path) != bits.Len32(leaves)-1 {
		return root, false
	}
	root = leaf
	for i, sibling := range path {
		if index>>i&1 == 1 {
			root = Node(sibling, root)
		} else {
			root = Node(root, sibling)
		}
	}
	return root, true
}
