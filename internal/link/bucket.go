package link

import "time"

// Bucket lets so many through at once, and so many a second after that.
type Bucket struct {
	taken float64
	at    time.Time
}

// Idle reports whether nothing is left that Take would remember.
func (b *Bucket) Idle(now time.Time, perSecond float64) bool {
	return b.taken <= now.Sub(b.at).Seconds()*perSecond
}

// Take reports whether one more may pass.
func (b *Bucket) Take(now time.Time, atOnce, perSecond float64) bool {
	b.taken = max(0, b.taken-now.Sub(b.at).Seconds()*perSecond)
	b.at = now
	if b.taken+1 > atOnce {
		return false
	}
	b.taken++
	return true
}
