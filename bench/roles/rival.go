package roles

import (
	"context"

	"sinete/bench/rivals"
)

// rivalServer is a rival's server: this process, or one that it has started.
type rivalServer struct {
	passive
	server *rivals.Server
}

func (r *rivalServer) count(c *Counts) (err error) {
	if r.server.PID != 0 {
		c.Mallocs = 0
		c.CPU, c.RSS, err = usedBy(r.server.PID)
	}
	return err
}

func startRival(ctx context.Context, s Setup) (role, Reply, error) {
	certificate, err := s.Cards[0].certificate()
	if err != nil {
		return nil, Reply{}, err
	}
	server, err := rivals.Start(ctx, s.System, s.Dir, certificate)
	if err != nil {
		return nil, Reply{}, err
	}
	return &rivalServer{server: server}, Reply{Address: server.Address, Version: server.Version}, nil
}

type rivalReceiver struct {
	passive
	pairs []*rivals.Receiver
}

func (r *rivalReceiver) count(c *Counts) error {
	for _, p := range r.pairs {
		c.Received += p.Received.Load()
		c.WrongOrder += p.WrongOrder.Load()
		c.Duplicates += p.Duplicates.Load()
	}
	return nil
}

func startRivalReceiver(ctx context.Context, s Setup) (role, error) {
	r := &rivalReceiver{}
	for i := range s.Settings.Conversations {
		line, err := rivals.Dial(ctx, s.System, s.Address, i, 1)
		if err != nil {
			return nil, err
		}
		r.pairs = append(r.pairs, rivals.Receive(line, s.Settings.Size))
	}
	return r, nil
}

func startRivalSender(ctx context.Context, s Setup) (role, error) {
	r := &plainSender{}
	for i := range s.Settings.Conversations {
		line, err := rivals.Dial(ctx, s.System, s.Address, i, 0)
		if err != nil {
			return nil, err
		}
		r.loops = append(r.loops, &loop{conversation: plain{rivals.NewSender(line, s.Settings.Size)}, window: s.Settings.Window})
	}
	return r, nil
}
