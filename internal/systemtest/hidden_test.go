package systemtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sinete/relay"
	"sinete/wire"
)

// BenchmarkHidden asks a relay with an audit log, over UDP, for somebody hidden and for nobody, in pairs, in an order that is drawn. It reports the median
// of each time, and z of the sign test over the pairs: beyond 3 in either direction somebody who asks often enough would learn who is there.
func BenchmarkHidden(b *testing.B) {
	w := newWorld(b, nil, func(c *relay.Config) {
		c.Cleared = true
		audited(b, c)
	})
	const people = 50
	hidden := map[uint32]bool{}
	for i := range people {
		card := w.card(fmt.Sprint("hidden-", i))
		w.grants(w.identity(card), wire.Level{Rank: 1}, false)
		w.login(card)
	}
	top := w.card("top")
	w.grants(w.identity(top), wire.Level{Rank: 2}, false)
	everybody, err := w.login(top).List(b.Context())
	must(b, err)
	var ids []uint32
	for _, p := range everybody {
		hidden[p.ID] = true
		ids = append(ids, p.ID)
	}
	var took [2][]float64 // of nobody, of somebody hidden; µs
	slower := 0
	for n := 0; b.Loop(); n++ {
		mallory := w.evilPeer(b, w.card(fmt.Sprint("mallory-", n)))
		mallory.answers(0xffffffff) // the first is another one
		for range wire.MaxConnects/2 - 1 {
			nobody := 1 + rand.Uint32N(2000)
			for hidden[nobody] {
				nobody = 1 + rand.Uint32N(2000)
			}
			asked := [2]uint32{nobody, ids[rand.IntN(len(ids))]}
			first := rand.IntN(2)
			var pair [2]time.Duration
			for _, which := range []int{first, 1 - first} {
				var answer []byte
				answer, pair[which] = mallory.answers(asked[which])
				if refusal := (wire.Refused{Number: wire.CodeUnknownPeer}).Append(nil); !slices.Equal(answer, refusal) {
					b.Fatalf("the answer is %x", answer)
				}
				took[which] = append(took[which], float64(pair[which])/1e3)
			}
			if pair[1] > pair[0] {
				slower++
			}
		}
		mallory.conn.Close(wire.CodeBye)
	}
	pairs := float64(len(took[0]))
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	b.ReportMetric(median(took[0]), "nobody-µs")
	b.ReportMetric(median(took[1]), "hidden-µs")
	b.ReportMetric((float64(slower)-pairs/2)/math.Sqrt(pairs/4), "z")
	b.ReportMetric(pairs, "pairs")
	b.ReportMetric(0, "ns/op")
}
