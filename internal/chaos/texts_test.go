package chaos

import (
	"math/rand/v2"
	"slices"
	"strings"
)

var people = [3]string{"Alice", "Bruno", "Carla"}

// pairs are all that write to each other.
func pairs() (all []pair) {
	for from := range people {
		for to := range people {
			if from != to {
				all = append(all, pair{from, to})
			}
		}
	}
	return all
}

const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// textOf is what somebody says to somebody for the n-th time: no two are the same, the first few are one byte long, and the longest a few
// KiB.
func textOf(p pair, n int) string {
	number := 9*n + 3*p.from + p.to
	var b strings.Builder
	for v := number; ; v /= len(digits) {
		b.WriteByte(digits[v%len(digits)])
		if v < len(digits) {
			break
		}
	}
	r := rand.New(rand.NewPCG(uint64(number), 0))
	size := []int{0, 0, 0, 20, 20, 200, 200, 2000, 4000}[r.IntN(9)]
	if size > 0 {
		b.WriteByte(' ')
		for size = r.IntN(size) + 1; size > 0; size-- {
			b.WriteString([]string{"a", "e", "o", "ç", "ã", " #", "##", `"`, `\`, "🖋", "<", "\t."}[r.IntN(12)])
		}
	}
	return b.String()
}

// pairOf is who said a text to whom, for the how manieth time; ok is false where nobody says that.
func pairOf(text string) (p pair, n int, ok bool) {
	head, _, _ := strings.Cut(text, " ")
	number := 0
	for i := len(head) - 1; i >= 0; i-- {
		digit := strings.IndexByte(digits, head[i])
		if digit < 0 || len(head) > 6 {
			return p, 0, false
		}
		number = number*len(digits) + digit
	}
	p, n = pair{number % 9 / 3, number % 3}, number/9
	return p, n, p.from != p.to && textOf(p, n) == text
}

// index is somebody's number, by their name.
func index(name string) int { return slices.Index(people[:], name) }
