package export

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"sinete/cardauth/revocation"
	"sinete/cardauth/seal"
	"sinete/peer/evidence/held"
	"sinete/peer/evidence/internal/bundle"
	"sinete/peer/evidence/internal/facts"
	"sinete/wire"
)

// composer writes a proof and its files.
type composer struct {
	files       map[string][]byte
	definitions []byte
	runs        []byte
	numbers     map[string]int // of what has been defined, by kind and bytes
	counts      map[string]int // by kind
}

// compose writes the proof of these parts.
func (x *exporter) compose(parts []*part) (map[string][]byte, error) {
	c := &composer{files: map[string][]byte{}, numbers: map[string]int{}, counts: map[string]int{}}
	for _, p := range parts {
		if p.passing == nil {
			p.passing = x.passing(p.collected)
		}
		if err := c.part(p); err != nil {
			return nil, err
		}
		if len(c.files) > bundle.MaxFiles {
			return nil, bundle.ErrTooMuch
		}
	}
	proof := append([]byte(bundle.FirstLine+"\n"), c.definitions...)
	proof = append(append(proof, c.runs...), bundle.LastLine+"\n"...)
	c.files[bundle.Proof] = proof
	return c.files, nil
}

// number is that of a thing, new when it has not been defined yet.
func (c *composer) number(kind, what string) (n int, fresh bool) {
	n, known := c.numbers[kind+what]
	if !known {
		c.counts[kind]++
		n = c.counts[kind]
		c.numbers[kind+what] = n
	}
	return n, !known
}

func (c *composer) define(format string, args ...any) {
	c.definitions = fmt.Appendf(c.definitions, format+"\n", args...)
}

func (c *composer) say(format string, args ...any) {
	c.runs = fmt.Appendf(c.runs, format+"\n", args...)
}

func (c *composer) certificate(der []byte) int {
	n, fresh := c.number("cert", string(der))
	if fresh {
		c.files[bundle.Name("cert", n, "pem")] = bundle.PEM("CERTIFICATE", der)
		c.define("certificate %d %x", n, sha256.Sum256(der))
	}
	return n
}

func (c *composer) person(p *facts.Person) int {
	chain := []int{}
	for _, der := range p.Chain {
		chain = append(chain, c.certificate(der))
	}
	chain = append(chain, c.certificate(p.Anchor.Raw))
	kind, name := kindOf(p)
	n, fresh := c.number(kind, string(p.Certificate.Raw))
	if fresh {
		c.definitions = fmt.Appendf(c.definitions, "%s %d %s", kind, n, name)
		for _, i := range chain {
			c.definitions = fmt.Appendf(c.definitions, " %d", i)
		}
		c.definitions = append(c.definitions, '\n')
	}
	return n
}

// kindOf is the line that defines somebody, and the name there. A relay is one without an identity.
func kindOf(p *facts.Person) (kind, name string) {
	if p.Identity == "" {
		return "relay", p.Name
	}
	return "person", p.Identity
}

// card is a person's card as a signer, or a relay's key.
func (c *composer) card(p *facts.Person) int {
	n, fresh := c.number("signer", string(p.Certificate.Raw))
	if fresh {
		c.files[bundle.Name("key", n, "pem")] = bundle.PEM("PUBLIC KEY", p.Certificate.RawSubjectPublicKeyInfo)
		kind, _ := kindOf(p)
		c.define("signer %d %s %d", n, kind, c.person(p))
	}
	return n
}

// signer is who seals on one side of a channel.
func (c *composer) signer(k *held.Known, d wire.Direction) (int, error) {
	s, sealed := k.Signers[d-1], k.Delegations[d-1]
	if s.By == nil {
		return c.card(s.Person), nil
	}
	what := string(s.Certificate.Raw) + string(sealed.Statement) + string(sealed.Seal.Append(nil))
	if n := c.numbers["signer"+what]; n > 0 {
		return n, nil
	}
	batch, err := c.seal(&facts.Signer{Person: s.Person}, c.card(s.Person), wire.PurposeDelegation, sealed.Statement, &sealed.Seal)
	if err != nil {
		return 0, err
	}
	by, _ := c.number("delegation", what)
	c.define("delegation %d %s", by, tailOf(batch, sealed.Statement, &sealed.Seal))
	n, _ := c.number("signer", what)
	c.files[bundle.Name("key", n, "pem")] = bundle.PEM("PUBLIC KEY", facts.Ed25519Key(s.By.Key))
	c.define("signer %d delegation %d", n, by)
	return n, nil
}

// seal is the signature that seals a statement.
func (c *composer) seal(by *facts.Signer, signer int, purpose wire.Purpose, statement []byte, s *wire.Seal) (int, error) {
	root, _ := seal.RootOf(seal.Leaf(purpose, s.Salt, statement), s.Leaves, s.Index, s.Path)
	as, err := by.As(s.Scheme)
	if err != nil {
		return 0, err
	}
	signed := wire.SealInput{Signer: as.Digest, Time: s.Time, Leaves: s.Leaves, Root: root}.Append(nil)
	n, fresh := c.number("seal", strconv.Itoa(signer)+" "+string(signed)+string(s.Signature))
	if fresh {
		c.files[bundle.Name("seal", n, "bin")], c.files[bundle.Name("seal", n, "sig")] = signed, s.Signature
		c.define("seal %d %d %04x %d %d %x", n, signer, uint16(s.Scheme), s.Time, s.Leaves, root)
	}
	return n, nil
}

// tailOf is how a sealed statement stands in a line.
func tailOf(batch int, statement []byte, s *wire.Seal) string {
	b := fmt.Appendf(nil, "%d %d %x %x", batch, s.Index, s.Salt, statement)
	for _, node := range s.Path {
		b = fmt.Appendf(b, " %x", node)
	}
	return string(b)
}

// channel is a channel, with what the issuers of both people's certificates said.
func (c *composer) channel(k *held.Known) int {
	i, r := c.person(k.Initiator), c.person(k.Responder)
	n, fresh := c.number("channel", string(k.ID[:]))
	if fresh {
		c.define("channel %d %x %d %d", n, k.ID, i, r)
		c.statuses(k.Signers[k.Sends(true)-1].Person, k.Own)
		c.statuses(k.Signers[k.Sends(false)-1].Person, k.Other)
	}
	return n
}

func (c *composer) statuses(p *facts.Person, shown wire.Credentials) {
	chain := append(slices.Clone(p.Chain), p.Anchor.Raw)
	for i, staple := range shown.Staples {
		at := slices.IndexFunc(chain, func(der []byte) bool { return string(der) == string(shown.Chain[i]) })
		if len(staple) == 0 || at < 0 || at+1 == len(chain) {
			continue
		}
		cert, err := x509.ParseCertificate(chain[at])
		issuer, err2 := x509.ParseCertificate(chain[at+1])
		if cmp.Or(err, err2) != nil {
			continue
		}
		if _, _, err := revocation.Read(staple, cert, issuer); err != nil {
			continue // whoever took it had a policy that asked nothing
		}
		n, fresh := c.number("status", string(chain[at])+string(staple))
		if fresh {
			c.files[bundle.Name("ocsp", n, "der")] = staple
			c.define("status %d %d %d %d %x", n, c.person(p), c.certificate(chain[at]), c.certificate(chain[at+1]), sha256.Sum256(staple))
		}
	}
}

// part writes a run.
func (c *composer) part(p *part) error {
	begin := p.flights[p.first].begin
	c.say("run %d %d %d %d %x", c.channel(p.Known), p.d, begin.Epoch, begin.Count, begin.T)
	t := facts.Transcript{Direction: p.d, Place: begin}
	var w *walk
	for i := p.first; i <= p.last; i++ {
		f := p.flights[i]
		t = c.reach(p, t, f.begin.Epoch)
		if w == nil && len(f.chosen) > 0 {
			w = c.walk(p, f)
		}
		for j, digest := range f.digests {
			if w != nil {
				w.goOn(c, held.Position{Epoch: t.Epoch, Number: t.Count})
			}
			c.envelope(f, j)
			t.Add(digest)
		}
		if len(f.chosen) > 0 {
			t = c.reach(p, t, f.seal.Head.Mine.Epoch)
			if err := c.head("head", p.Known, p.d, &f.seal); err != nil {
				return err
			}
		}
		if p.receipts[i] {
			t = c.reach(p, t, f.seal.Head.Mine.Epoch)
			if err := c.head("receipt", p.Known, 3-p.d, p.collected.receipts[*f.seal.Head.Mine]); err != nil {
				return err
			}
		}
		if w != nil && (i == p.last || !w.holds(p.flights[i+1])) {
			if err := w.end(c, p.Known); err != nil {
				return err
			}
			w = nil
		}
	}
	return nil
}

// reach leads to a later epoch.
func (c *composer) reach(p *part, t facts.Transcript, epoch uint64) facts.Transcript {
	if t.Epoch == epoch {
		return t
	}
	next, err := t.In(epoch, p.Epochs[epoch])
	if err != nil {
		return t // plan has been there
	}
	c.say("epoch %d %x", epoch, p.Epochs[epoch])
	return next
}

func (c *composer) envelope(f *flight, j int) {
	if !f.chosen[j] {
		c.say("hidden %x", f.digests[j])
		return
	}
	s := f.shown[j]
	c.counts["message"]++
	n := c.counts["message"]
	c.files[bundle.Name("text", n, "txt")] = []byte(s.content.Text)
	c.say("message %d %d %x %016x %x %x %x", n, s.content.Number, s.content.ID, s.content.Time, s.header, s.ciphertext, s.opening)
}

func (c *composer) head(kind string, k *held.Known, d wire.Direction, e *wire.SealEntry) error {
	n, err := c.signer(k, d)
	if err != nil {
		return err
	}
	batch, err := c.seal(k.Signers[d-1], n, wire.PurposeHead, e.Statement, &e.Seal)
	if err == nil {
		c.say("%s %s", kind, tailOf(batch, e.Statement, &e.Seal))
	}
	return err
}

func sorted[V any](m map[int]V) []int { return slices.Sorted(maps.Keys(m)) }
