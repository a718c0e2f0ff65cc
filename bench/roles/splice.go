package roles

import (
	"context"
	"net"
	"time"

	"sinete/bench/splice"
)

func startSplice(ctx context.Context, s Setup) (role, string, error) {
	certificate, err := s.Cards[0].certificate()
	if err != nil {
		return nil, "", err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, "", err
	}
	go splice.Serve(ctx, socket, certificate)
	return passive{}, socket.LocalAddr().String(), nil
}

type spliceReceiver struct {
	passive
	pairs []*splice.Receiver
}

func (r *spliceReceiver) count(c *Counts) error {
	for _, p := range r.pairs {
		c.WrongOrder += p.WrongOrder.Load()
		c.Received += p.Received.Load()
	}
	return nil
}

func startSpliceReceiver(ctx context.Context, s Setup) (role, error) {
	r := &spliceReceiver{}
	for i := range s.Settings.Conversations {
		p, err := splice.Receive(ctx, s.Address, i)
		if err != nil {
			return nil, err
		}
		r.pairs = append(r.pairs, p)
	}
	return r, nil
}

type spliceSender struct {
	passive
	loops loops
}

func (r *spliceSender) run(ctx context.Context, p Plan, _ *Run) ([]time.Duration, error) {
	return r.loops.run(ctx, p)
}

func startSpliceSender(ctx context.Context, s Setup) (role, error) {
	r := &spliceSender{}
	for i := range s.Settings.Conversations {
		p, err := splice.NewSender(ctx, s.Address, i, s.Settings.FrameSize())
		if err != nil {
			return nil, err
		}
		r.loops = append(r.loops, &loop{conversation: spliced{p}, window: s.Settings.Window})
	}
	return r, nil
}

type spliced struct{ s *splice.Sender }

func (p spliced) send(ctx context.Context) error                         { return p.s.Send(ctx) }
func (p spliced) flush() error                                           { return p.s.Flush() }
func (p spliced) confirmed(ctx context.Context) (next uint64, err error) { return p.s.Confirmed(ctx) }
