package main

import (
	"context"
	"net"

	"sinete/internal/link"
	"sinete/relay"
	"sinete/wire"
)

type flightRecord struct {
	From   string
	Pieces []pieceRecord
}

type pieceRecord struct {
	Type    uint8        `json:",omitempty"` // of the outer envelope
	Payload []byte       `json:",omitempty"` // of the outer envelope
	Seals   []sealRecord `json:",omitempty"`
}

type sealRecord struct {
	Scheme          uint16
	Signature, Salt []byte
	Time            uint64
	Leaves, Index   uint32
	Path            [][]byte
	Head            []byte // the statement's bytes
}

// recordedServe stands in the place of relay.Serve.
func recordedServe(ctx context.Context, socket net.PacketConn, cfg relay.Config, ready func()) error {
	cfg.Card = recordedCard{cfg.Card}
	cfg.Capture = func(from string, _ uint64, f *link.Received) {
		r := flightRecord{From: from}
		for _, p := range f.Pieces {
			if p.Seals == nil {
				r.Pieces = append(r.Pieces, pieceRecord{Type: uint8(p.Opened.Type), Payload: p.Opened.Payload})
				continue
			}
			var seals []sealRecord
			for _, e := range p.Seals {
				seals = append(seals, recordOf(e))
			}
			r.Pieces = append(r.Pieces, pieceRecord{Seals: seals})
		}
		record(r)
	}
	return relay.Serve(ctx, socket, cfg, ready)
}

func recordOf(e wire.SealEntry) sealRecord {
	s := sealRecord{Scheme: uint16(e.Seal.Scheme), Signature: e.Seal.Signature, Salt: e.Seal.Salt[:], Time: e.Seal.Time,
		Leaves: e.Seal.Leaves, Index: e.Seal.Index, Head: e.Statement}
	for _, node := range e.Seal.Path {
		s.Path = append(s.Path, node[:])
	}
	return s
}
