package link

import (
	"bytes"
	"fmt"
	"testing"

	"sinete/transport/channel"
	"sinete/wire"
)

// What one flight holds stays as it is until it is freed, whatever others take and give back meanwhile.
func TestRoomOfPayloads(t *testing.T) {
	for _, size := range []int{1, 400, 3000, fewBytes, 40_000, wire.MaxFrameBody} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			receive := func(fill byte) *Received {
				f := &Received{}
				for f.envelopes < wire.MaxFlight && f.bytes+size <= wire.MaxFlightBytes {
					room := f.room(size)
					whole := append(room, bytes.Repeat([]byte{fill}, size)...)
					if cap(whole) != cap(room) {
						t.Fatalf("room for %d of %d bytes", cap(room)-len(room), size)
					}
					f.took(channel.Opened{Payload: whole[len(room):]})
				}
				return f
			}
			held := receive(1)
			for i := range 10 {
				f := receive(byte(2 + i))
				f.delivered()
				f.Free()
			}
			if n := len(held.Pieces); n != min(wire.MaxFlight, wire.MaxFlightBytes/size) {
				t.Fatalf("%d pieces", n)
			}
			for i := range held.Pieces {
				if p := held.Pieces[i].Opened.Payload; len(p) != size || bytes.Count(p, []byte{1}) != size {
					t.Fatalf("payload %d has changed", i)
				}
			}
		})
	}
}
