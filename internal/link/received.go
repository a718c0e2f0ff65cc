package link

import (
	"sync"

	"sinete/transport/channel"
	"sinete/wire"
)

// Piece is what a verified flight holds: an envelope, or entries of a seal frame that speak of conversations, in the order in which they came.
type Piece struct {
	Opened channel.Opened
	Seals  []wire.SealEntry
}

// Received is a flight whose covering seal has been verified. Closing, and the list of its pieces, are good until deliver returns; what the pieces hold is
// not used again by the lane until somebody says Free.
type Received struct {
	Pieces    []Piece
	Closing   *wire.SealEntry // the hop's head that closes it; nil where it holds no envelope
	envelopes int
	bytes     int
	seals     int // frames with heads of conversations
	sealed    int // bytes of their bodies

	list   *[]Piece // where Pieces come from
	newest []byte   // the room that payloads are decrypted to now, up to where it is filled
	blocks []*block // those of the rooms that others may use again
}

// Lists and blocks are lent to flights: memory that was in use a moment ago is in the processor's caches, new memory is not.
var (
	lists  = sync.Pool{New: func() any { return new([]Piece) }}
	blocks = sync.Pool{New: func() any { return new(block) }}
)

// block has room for whatever one frame holds.
type block [wire.MaxFrameBody]byte

// fewBytes is what a flight may have before it gets blocks: short flights, of many lanes or waiting for one that is slow, shall not hold much more
// than they need.
const fewBytes = 16 << 10

// room is where a payload is decrypted to that has n bytes at most.
func (f *Received) room(n int) []byte {
	if cap(f.newest)-len(f.newest) >= n {
		return f.newest
	}
	if f.bytes+n <= fewBytes {
		f.newest = make([]byte, 0, max(n, min(3*f.bytes, fewBytes)))
	} else {
		b := blocks.Get().(*block)
		f.blocks = append(f.blocks, b)
		f.newest = b[:0]
	}
	return f.newest
}

// took takes an envelope whose payload stands in the room.
func (f *Received) took(o channel.Opened) {
	f.newest = f.newest[:len(f.newest)+len(o.Payload)]
	f.envelopes += o.Envelopes()
	f.bytes += len(o.Payload)
	f.add(Piece{Opened: o})
}

// add takes the next piece.
func (f *Received) add(p Piece) {
	if f.list == nil {
		f.list = lists.Get().(*[]Piece)
		f.Pieces = *f.list
	}
	f.Pieces = append(f.Pieces, p)
}

// delivered lets the list be used again.
func (f *Received) delivered() {
	clear(f.Pieces)
	*f.list = f.Pieces[:0]
	lists.Put(f.list)
	f.Pieces, f.list = nil, nil
}

// Free lets the room of the payloads be used again. It is for who keeps nothing of them, and nothing that has been parsed without a copy.
func (f *Received) Free() {
	for _, b := range f.blocks {
		blocks.Put(b)
	}
	f.blocks, f.newest = nil, nil
}
