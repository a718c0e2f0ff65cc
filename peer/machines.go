package peer

import (
	"sinete/peer/store"
	"sinete/wire"
)

// What two people are told of the machines that they speak from (protocol.md section 7.5).

// sayMachines sends what the other is still to be told: this machine, in a closed direction once they have said theirs, and that another one
// of theirs was noticed.
func (c *Conversation) sayMachines() error {
	if !c.saidMachine && (c.MayWrite || c.heard()) {
		c.saidMachine = true
		if err := c.sendMachine(); err != nil {
			return err
		}
	}
	if !c.saidNoticed && c.heard() {
		c.saidNoticed = true
		if owed := c.contact.Owed(); owed != nil && c.MayWrite {
			return c.one(wire.ContentNoticed, wire.Machine(*owed), owed)
		}
	}
	return nil
}

// toHear is closed when sayMachines has more to say, nil where that is not to come.
func (c *Conversation) toHear() <-chan struct{} {
	if c.saidNoticed {
		return nil
	}
	return c.in.heard
}

// heard reports whether they have said which machine they speak from.
func (c *Conversation) heard() bool {
	select {
	case <-c.in.heard:
		return true
	default:
		return false
	}
}

func (c *Conversation) sendMachine() error {
	m := c.session.cfg.Machine
	hash := c.machineHash()
	if c.MayWrite {
		return c.one(wire.ContentMachine, wire.Machine{Hash: hash, Description: m.Description}, nil)
	}
	owed := c.contact.Owed()
	f := wire.Frame{Type: wire.FrameMachine, Body: c.channel.MachineFrame(hash, owed != nil).Append(nil)}
	err := inHop{c}.Send(c.ctx, f)
	if err == nil && owed != nil {
		c.contact.Told(owed)
	}
	return err
}

func (c *Conversation) machineHash() [32]byte {
	return wire.MachineHash(c.session.own.Identity, c.Person.Identity, c.session.cfg.Machine.Facts)
}

func (c *Conversation) machineFrame(body []byte) error {
	m, err := wire.ParseMachineFrame(body)
	if err != nil {
		return err
	}
	if err := c.waitEstablished(); err != nil {
		return err
	}
	noticed, err := c.channel.CheckMachine(m)
	if err != nil {
		return err
	}
	if err := c.speaksFrom(wire.Machine{Hash: m.Hash}); err != nil || !noticed {
		return err
	}
	return c.noticed(wire.Machine{Hash: c.machineHash()})
}

// speaksFrom takes the machine that they speak from.
func (c *Conversation) speaksFrom(m wire.Machine) error {
	if c.in.machineSeen {
		return wire.Errorf(wire.CodeUnexpected, "a second statement about their machine")
	}
	c.in.machineSeen = true
	s := &MachineStatement{Known: MachineNew, Description: m.Description}
	switch before := c.contact.SpeaksFrom(store.Machine(m)); {
	case before == nil:
	case before.Hash == m.Hash:
		s.Known = MachineKnown
	default:
		s.Known, s.Before = MachineChanged, before.Description
	}
	c.events.put(s)
	close(c.in.heard)
	if to := c.contact.Came(); c.contact.Untaken(to) { // of a conversation before, whose events nobody may take any more
		c.events.putTexts(&texts{contact: c.contact, to: to}, nil)
	}
	return nil
}

// noticed takes that they noticed another machine of this user's than before.
func (c *Conversation) noticed(m wire.Machine) error {
	if c.in.noticedSeen {
		return wire.Errorf(wire.CodeUnexpected, "a second notice of another machine")
	}
	c.in.noticedSeen = true
	if m.Hash == c.machineHash() { // else it is of one that somebody spoke from before
		c.events.put(&MachineChangeNoticed{m.Description})
	}
	return nil
}
