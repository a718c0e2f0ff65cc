package roles

import (
	"context"
	"net"

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
	go func() { tell(splice.Serve(ctx, socket, certificate)) }()
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

func startSpliceSender(ctx context.Context, s Setup) (role, error) {
	r := &plainSender{}
	for i := range s.Settings.Conversations {
		p, err := splice.NewSender(ctx, s.Address, i, s.Settings.FrameSize())
		if err != nil {
			return nil, err
		}
		r.loops = append(r.loops, &loop{conversation: plain{p}, window: s.Settings.Window})
	}
	return r, nil
}
