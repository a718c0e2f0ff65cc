package channel

import (
	"crypto/hmac"
	"crypto/rand"
	"slices"

	"sinete/wire"
)

// Config is what one side brings to a handshake.
type Config struct {
	Kind        wire.Kind // KindHop or KindConversation; of a rekeying Channel.Rekeying makes the whole Config
	Suites      []wire.Suite
	Credentials wire.Credentials
	Limits      wire.RekeyLimits
	Context     []byte // the initiator's; the responder compares hello's with its own view

	of *Channel // the channel of a rekeying
}

// step is a place in a handshake's order; a call out of order is a fault of the caller, refused without harm.
type step int

const spoiled step = -1

func (s *step) take(at step) error {
	if *s != at {
		return wire.Errorf(wire.CodeUnexpected, "a handshake step out of order")
	}
	*s++
	return nil
}

// core is what both roles keep between their steps.
type core struct {
	cfg        Config
	suite      wire.Suite
	p          parameters
	prk        []byte
	hello      []byte
	answer     []byte
	proof      []byte
	th2, th3   []byte
	other      wire.Credentials // of the other side
	parameters []byte           // as sent
	step       step
}

// spoil ends the handshake where a step fails: no later one may work with what that step refused.
func (c *core) spoil(err *error) {
	if *err != nil {
		c.step = spoiled
		c.erase()
	}
}

func (c *core) erase() {
	clear(c.prk)
	c.prk = nil
}

func (c *core) agreed(shared []byte) error {
	defer clear(shared)
	var salt []byte
	if c.cfg.of != nil {
		var err error
		if salt, err = c.cfg.of.salt(); err != nil {
			return err
		}
		defer clear(salt)
	}
	c.prk = c.p.extract(shared, salt)
	c.th2 = wire.TH2(c.p.hash(), c.cfg.Kind, c.hello, c.answer)
	return nil
}

// finish makes the channel, or in a rekeying the next epoch of the one that there is. d is the other side's delegation in force.
func (c *core) finish(role wire.Role, seal wire.Seal, mac []byte, d *wire.SealedDelegation) (ch *Channel, err error) {
	th := wire.TH(c.p.hash(), c.cfg.Kind, c.th3, seal.Append(nil), mac)
	if ch = c.cfg.of; ch != nil {
		err = ch.install(c.prk, th)
	} else {
		ch = newChannel(role, c.suite, c.p, c.cfg.Kind, c.prk, th)
		ch.remember(c.other, d)
	}
	c.erase()
	return ch, err
}

// inForce is the delegation that the MAC of a proof covers: one made at this login, or one shown in hello.
func inForce(shown, made *wire.SealedDelegation) *wire.SealedDelegation {
	if made != nil {
		return made
	}
	return shown
}

// Initiator is the side that asks. Its steps: Hello, ReadAnswer, Proof, ReadAccept, Finish.
type Initiator struct {
	core
	shares []*keyShare
	accept *wire.Accept
}

// NewInitiator prepares a handshake.
func NewInitiator(cfg Config) *Initiator { return &Initiator{core: core{cfg: cfg}} }

// Erase forgets the secrets of a handshake that goes no further. The channel keeps its own.
func (i *Initiator) Erase() {
	i.step = spoiled
	i.shares = nil // Go's own types, which nobody else can clear
	i.erase()
}

// Hello makes the body of hello, with fresh shares and nonce.
func (i *Initiator) Hello() (body []byte, err error) {
	if err := i.step.take(0); err != nil {
		return nil, err
	}
	defer i.spoil(&err)
	if i.cfg.of != nil {
		if err := i.cfg.of.begins(); err != nil {
			return nil, err
		}
	}
	h := wire.Hello{Versions: []uint16{wire.Version}, Kind: i.cfg.Kind, Suites: i.cfg.Suites,
		Credentials: i.cfg.Credentials, Limits: i.cfg.Limits, Context: i.cfg.Context}
	rand.Read(h.Nonce[:])
	var groups []wire.Group
	for _, s := range i.cfg.Suites {
		if p, ok := suites[s]; ok && !slices.Contains(groups, p.group) {
			groups = append(groups, p.group)
		}
	}
	slices.Sort(groups)
	for _, g := range groups {
		k, err := newKeyShare(g)
		if err != nil {
			return nil, err
		}
		i.shares = append(i.shares, k)
		h.Shares = append(h.Shares, k.share())
	}
	i.hello = h.Append(nil)
	return i.hello, nil
}

// ReadAnswer takes the body of answer and checks the choice. The caller verifies the credentials in it before Proof; Statement
// is TH2, to be sealed for PurposeInitiator.
func (i *Initiator) ReadAnswer(body []byte) (a *wire.Answer, statement []byte, err error) {
	if err := i.step.take(1); err != nil {
		return nil, nil, err
	}
	defer i.spoil(&err)
	i.answer = slices.Clone(body)
	if a, err = wire.ParseAnswer(i.answer); err != nil {
		return nil, nil, err
	}
	if a.Version != wire.Version {
		return nil, nil, wire.Errorf(wire.CodeVersionUnsupported, "version %d was not offered", a.Version)
	}
	if best, ok := wire.BestSuite(i.cfg.Suites, a.Suites); !ok || a.Suite != best {
		return nil, nil, wire.Errorf(wire.CodeIntegrity, "%v is not the best suite of both offers", a.Suite)
	}
	if i.cfg.of != nil {
		if err := i.cfg.of.checkRekey(a.Credentials, a.Suites); err != nil {
			return nil, nil, err
		}
	}
	i.suite, i.p = a.Suite, suites[a.Suite]
	n := slices.IndexFunc(i.shares, func(k *keyShare) bool { return k.group == i.p.group })
	if n < 0 || a.Share.Group != i.p.group {
		return nil, nil, wire.Errorf(wire.CodeIntegrity, "a share of another group than the suite's")
	}
	shared, err := i.shares[n].finish(a.Share.Data)
	if err != nil {
		return nil, nil, err
	}
	i.shares, i.other = nil, a.Credentials
	if err := i.agreed(shared); err != nil {
		return nil, nil, err
	}
	return a, i.th2, nil
}

// Proof makes the body of proof from the seal over TH2 and, where the card delegates at this login, the delegation.
func (i *Initiator) Proof(seal wire.Seal, made *wire.SealedDelegation) ([]byte, error) {
	if err := i.step.take(2); err != nil {
		return nil, err
	}
	d := inForce(i.cfg.Credentials.Delegation, made)
	p := wire.Proof{Seal: seal, Delegation: made,
		MAC: i.p.mac(i.prk, "mac i", i.th2, i.th2, i.cfg.Credentials.Chain[0], seal, d)}
	i.proof = p.Append(nil)
	return i.proof, nil
}

// ReadAccept takes the body of accept and checks its MAC. The caller verifies that Seal is the responder's over the
// statement (TH3, PurposeResponder) before it calls Finish. parameters are in clear.
func (i *Initiator) ReadAccept(body []byte) (seal wire.Seal, statement, parameters []byte, err error) {
	if err := i.step.take(3); err != nil {
		return wire.Seal{}, nil, nil, err
	}
	defer i.spoil(&err)
	if i.accept, err = wire.ParseAccept(slices.Clone(body)); err != nil {
		return wire.Seal{}, nil, nil, err
	}
	i.th3 = wire.TH3(i.p.hash(), i.cfg.Kind, i.th2, i.proof, i.accept.Parameters)
	mac := i.p.mac(i.prk, "mac r", i.th2, i.th3, i.other.Chain[0], i.accept.Seal, i.other.Delegation)
	if !hmac.Equal(mac, i.accept.MAC) {
		return wire.Seal{}, nil, nil, wire.Errorf(wire.CodeAuthenticationFailed, "the MAC of accept is wrong")
	}
	parameters = i.accept.Parameters
	if i.cfg.Kind == wire.KindHop {
		aead, iv := i.p.parametersAEAD(i.prk, i.th2)
		if parameters, err = aead.Open(nil, iv, i.accept.Parameters, i.th2); err != nil {
			return wire.Seal{}, nil, nil, wire.Errorf(wire.CodeAuthenticationFailed, "the parameters of accept do not decrypt")
		}
	}
	return i.accept.Seal, i.th3, parameters, nil
}

// Finish returns the channel, once the caller has verified the seal of accept.
func (i *Initiator) Finish() (*Channel, error) {
	if err := i.step.take(4); err != nil {
		return nil, err
	}
	return i.finish(wire.RoleInitiator, i.accept.Seal, i.accept.MAC, i.other.Delegation)
}

// Responder is the side that is asked. Its steps: ReadHello, Answer, ReadProof, Parameters, Accept.
type Responder struct {
	core
	share      wire.Share
	shared     []byte
	delegation *wire.SealedDelegation // of the other side, in force
}

// NewResponder prepares a handshake.
func NewResponder(cfg Config) *Responder { return &Responder{core: core{cfg: cfg}} }

// Erase forgets the secrets of a handshake that goes no further. The channel keeps its own.
func (r *Responder) Erase() {
	r.step = spoiled
	clear(r.shared)
	r.erase()
}

// ReadHello takes the body of hello and chooses version, suite and share. The caller verifies the credentials and compares
// the context with its own view before Answer.
func (r *Responder) ReadHello(body []byte) (h *wire.Hello, err error) {
	if err := r.step.take(0); err != nil {
		return nil, err
	}
	defer r.spoil(&err)
	r.hello = slices.Clone(body)
	if h, err = wire.ParseHello(r.hello); err != nil {
		return nil, err
	}
	if h.Kind != r.cfg.Kind {
		return nil, wire.Errorf(wire.CodeUnexpected, "a %v handshake where a %v handshake belongs", h.Kind, r.cfg.Kind)
	}
	if r.cfg.of != nil {
		if err := r.checkRekey(h); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(h.Versions, wire.Version) {
		return nil, wire.Errorf(wire.CodeVersionUnsupported, "versions %v", h.Versions)
	}
	best, ok := wire.BestSuite(r.cfg.Suites, h.Suites)
	if !ok {
		return nil, wire.Errorf(wire.CodeSuiteUnsupported, "no common suite in %v", h.Suites)
	}
	r.suite, r.p = best, suites[best]
	n := slices.IndexFunc(h.Shares, func(s wire.Share) bool { return s.Group == r.p.group })
	if n < 0 {
		return nil, &wire.MalformedError{What: "hello", Reason: "no share for a suite that it offers"}
	}
	if r.share, r.shared, err = answerShare(h.Shares[n]); err != nil {
		return nil, err
	}
	r.other = h.Credentials
	return h, nil
}

// checkRekey compares a rekeying's hello with this side's view of the channel.
func (r *Responder) checkRekey(h *wire.Hello) error {
	if err := r.cfg.of.begins(); err != nil {
		return err
	}
	if _, err := wire.ParseRekeyContext(h.Context); err != nil {
		return err
	}
	if !slices.Equal(h.Context, r.cfg.Context) {
		return wire.Errorf(wire.CodeWrongContext, "a rekeying of another channel or epoch")
	}
	return r.cfg.of.checkRekey(h.Credentials, h.Suites)
}

// Answer makes the body of answer.
func (r *Responder) Answer() ([]byte, error) {
	if err := r.step.take(1); err != nil {
		return nil, err
	}
	a := wire.Answer{Version: wire.Version, Suites: r.cfg.Suites, Suite: r.suite, Share: r.share, Credentials: r.cfg.Credentials}
	rand.Read(a.Nonce[:])
	r.answer = a.Append(nil)
	return r.answer, r.agreed(r.shared)
}

// ReadProof takes the body of proof and checks its MAC. The caller verifies that its seal is the initiator's over the
// statement (TH2, PurposeInitiator) before Parameters.
func (r *Responder) ReadProof(body []byte) (p *wire.Proof, statement []byte, err error) {
	if err := r.step.take(2); err != nil {
		return nil, nil, err
	}
	defer r.spoil(&err)
	r.proof = slices.Clone(body)
	if p, err = wire.ParseProof(r.proof); err != nil {
		return nil, nil, err
	}
	if p.Delegation != nil && (r.cfg.Kind != wire.KindHop || r.other.Delegation != nil) {
		return nil, nil, wire.Errorf(wire.CodeUnexpected, "a delegation in proof that has no place there")
	}
	r.delegation = inForce(r.other.Delegation, p.Delegation)
	if !hmac.Equal(p.MAC, r.p.mac(r.prk, "mac i", r.th2, r.th2, r.other.Chain[0], p.Seal, r.delegation)) {
		return nil, nil, wire.Errorf(wire.CodeAuthenticationFailed, "the MAC of proof is wrong")
	}
	return p, r.th2, nil
}

// Parameters takes the parameters in clear and returns TH3, to be sealed for PurposeResponder.
func (r *Responder) Parameters(plain []byte) (statement []byte, err error) {
	if err := r.step.take(3); err != nil {
		return nil, err
	}
	r.parameters = plain
	if r.cfg.Kind == wire.KindHop {
		aead, iv := r.p.parametersAEAD(r.prk, r.th2)
		r.parameters = aead.Seal(nil, iv, plain, r.th2)
	}
	r.th3 = wire.TH3(r.p.hash(), r.cfg.Kind, r.th2, r.proof, r.parameters)
	return r.th3, nil
}

// Accept makes the body of accept from the seal over TH3, and the channel.
func (r *Responder) Accept(seal wire.Seal) ([]byte, *Channel, error) {
	if err := r.step.take(4); err != nil {
		return nil, nil, err
	}
	mac := r.p.mac(r.prk, "mac r", r.th2, r.th3, r.cfg.Credentials.Chain[0], seal, r.cfg.Credentials.Delegation)
	a := wire.Accept{Parameters: r.parameters, Seal: seal, MAC: mac}
	ch, err := r.finish(wire.RoleResponder, seal, mac, r.delegation)
	return a.Append(nil), ch, err
}
