package evidence

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/cardauth/seal"
	"sinete/peer/evidence/internal/bundle"
	"sinete/peer/evidence/internal/facts"
	"sinete/wire"
)

// book is what the lines of a proof have defined and proved so far.
type book struct {
	files map[string][]byte
	used  map[string]bool

	certificates []*x509.Certificate
	people       []*listed
	relays       []*facts.Person // as in Report.Relays
	signers      []*facts.Signer
	seals        []*batch
	delegations  []*delegated
	channels     []*conversation
	leaves       map[*x509.Certificate]bool // of people and relays
	run          *run                       // nil before the first

	report *Report
}

// listed is a person with their certificates.
type listed struct {
	*facts.Person
	chain []*x509.Certificate
	index int // in Report.People
}

// delegated is a delegation and whose it is.
type delegated struct {
	by *facts.Person
	*facts.Delegation
}

// conversation is a channel, with the people as the report has them.
type conversation struct {
	facts.Channel
	initiator, responder int
}

// batch is a signature over a tree (protocol.md section 4.1).
type batch struct {
	*facts.Signer
	time   uint64
	scheme wire.Scheme
	leaves uint32
	root   [32]byte
}

// holds checks that a statement is in the tree, and may be.
func (s *batch) holds(p wire.Purpose, t *tail) error {
	if s.By != nil && !s.By.Allows(p) {
		return errors.New("the delegated key may not seal this")
	}
	root, ok := seal.RootOf(seal.Leaf(p, t.salt, t.statement), s.leaves, t.index, t.path)
	if !ok || root != s.root {
		return errors.New("the statement is not what the seal covers")
	}
	return nil
}

// tail is how a sealed statement stands in a line: seal, index, salt, statement, path.
type tail struct {
	*batch
	index     uint32
	salt      [16]byte
	statement []byte
	path      [][32]byte
}

func (b *book) tail(w *words) *tail {
	t := &tail{batch: of(w, "seal", b.seals), index: uint32(min(w.number(), wire.MaxLeaves)), salt: w.bytes16(), statement: w.bytes(1, 1024)}
	for w.more && len(t.path) < 16 {
		t.path = append(t.path, w.hash())
	}
	return t
}

// line takes one line.
func (b *book) line(line string) error {
	w := wordsOf(line)
	kind := w.word()
	if define := definitions[kind]; define != nil {
		if b.run != nil {
			return fmt.Errorf("%s behind the first run", kind)
		}
		return define(b, w)
	}
	if kind == "run" {
		return b.begin(w)
	}
	step := steps[kind]
	switch {
	case step == nil:
		return fmt.Errorf("%.40q, which is nothing that stands in a proof", kind)
	case b.run == nil:
		return fmt.Errorf("%s before the first run", kind)
	}
	return step(b.run, w)
}

// definitions are the lines that define something, by their first word.
var definitions = map[string]func(*book, *words) error{
	"certificate": (*book).certificate,
	"person":      (*book).person,
	"relay":       (*book).relay,
	"signer":      (*book).signer,
	"seal":        (*book).seal,
	"delegation":  (*book).delegation,
	"channel":     (*book).channel,
	"status":      (*book).status,
}

func (b *book) certificate(w *words) error {
	n, hash := next(w, b.certificates), w.hash()
	if err := w.done(); err != nil {
		return err
	}
	file, err := b.file("cert", n, "pem")
	if err != nil {
		return err
	}
	der, plain := bundle.DER("CERTIFICATE", file)
	switch {
	case !plain:
		return fmt.Errorf("%s is not one certificate in its plain form", bundle.Name("cert", n, "pem"))
	case sha256.Sum256(der) != hash:
		return fmt.Errorf("%s is another certificate", bundle.Name("cert", n, "pem"))
	case len(der) > wire.MaxCertificate:
		return fmt.Errorf("%s is too large", bundle.Name("cert", n, "pem"))
	}
	c, err := x509.ParseCertificate(der)
	b.certificates = append(b.certificates, c)
	return err
}

func (b *book) person(w *words) error {
	next(w, b.people)
	identity := w.word()
	chain, err := b.chain(w)
	if err != nil {
		return err
	}
	p, err := facts.NewPerson(chain[:len(chain)-1], chain[len(chain)-1])
	switch {
	case err != nil:
		return err
	case p.Identity != identity:
		return fmt.Errorf("the certificate of %s", p.Identity)
	}
	b.people = append(b.people, &listed{p, chain, len(b.report.People)})
	b.report.People = append(b.report.People, Person{p.Identity, p.Name, p.Certificate, chain})
	return nil
}

// chain reads the certificates of somebody new, the anchor last.
func (b *book) chain(w *words) (chain []*x509.Certificate, err error) {
	for w.more && w.err == nil && len(chain) <= wire.MaxChain {
		chain = append(chain, of(w, "certificate", b.certificates))
	}
	switch err := w.done(); {
	case err != nil:
		return nil, err
	case len(chain) < 2:
		return nil, errors.New("a chain without an anchor")
	case b.leaves[chain[0]]:
		return nil, errors.New("a certificate of two people")
	}
	b.leaves[chain[0]] = true
	return chain, nil
}

func (b *book) relay(w *words) error {
	next(w, b.relays)
	name := w.word()
	chain, err := b.chain(w)
	switch {
	case err != nil:
		return err
	case name == "" || facts.RelayName(chain[0], name) != name:
		return errors.New("no name in the relay's certificate")
	}
	r, err := facts.NewRelay(name, chain[:len(chain)-1], chain[len(chain)-1])
	if err != nil {
		return err
	}
	b.relays = append(b.relays, r)
	b.report.Relays = append(b.report.Relays, Relay{name, chain})
	return nil
}

func (b *book) signer(w *words) error {
	n := next(w, b.signers)
	s := &facts.Signer{}
	var key []byte
	switch kind := w.word(); kind {
	case "person":
		if p := of(w, kind, b.people); p != nil {
			s.Person, key = p.Person, p.Certificate.RawSubjectPublicKeyInfo
		}
	case "relay":
		if r := of(w, kind, b.relays); r != nil {
			s.Person, key = r, r.Certificate.RawSubjectPublicKeyInfo
		}
	case "delegation":
		if d := of(w, kind, b.delegations); d != nil {
			s.Person, s.By, key = d.by, d.Delegation, facts.Ed25519Key(d.Key)
		}
	default:
		w.fail("a signer that is none of a person, a relay and a delegation")
	}
	if err := w.done(); err != nil {
		return err
	}
	b.signers = append(b.signers, s)
	return b.must("key", n, "pem", bundle.PEM("PUBLIC KEY", key))
}

func (b *book) seal(w *words) error {
	n := next(w, b.seals)
	s := &batch{Signer: of(w, "signer", b.signers)}
	scheme := w.bytes(2, 2)
	s.scheme = wire.Scheme(scheme[0])<<8 | wire.Scheme(scheme[1])
	s.time, s.leaves, s.root = w.number(), uint32(min(w.number(), 2*wire.MaxLeaves)), w.hash()
	if err := w.done(); err != nil {
		return err
	}
	if err := s.At(s.time); err != nil {
		return err
	}
	as, err := s.As(s.scheme)
	if err != nil {
		return err
	}
	signed := wire.SealInput{Signer: as.Digest, Time: s.time, Leaves: s.leaves, Root: s.root}.Append(nil)
	if err := b.must("seal", n, "bin", signed); err != nil {
		return err
	}
	signature, err := b.file("seal", n, "sig")
	if err != nil {
		return err
	}
	b.seals = append(b.seals, s)
	return seal.VerifySignature(as.Key, as.Scheme, signed, signature)
}

func (b *book) delegation(w *words) error {
	next(w, b.delegations)
	t := b.tail(w)
	switch err := w.done(); {
	case err != nil:
		return err
	case t.By != nil || t.Identity == "":
		return errors.New("a delegation that no person has made")
	}
	if err := t.holds(wire.PurposeDelegation, t); err != nil {
		return err
	}
	d, err := facts.NewDelegation(t.statement, t.time)
	b.delegations = append(b.delegations, &delegated{t.Person, d})
	return err
}

func (b *book) channel(w *words) error {
	next(w, b.channels)
	id, i, r := w.hash(), of(w, "person", b.people), of(w, "person", b.people)
	switch err := w.done(); {
	case err != nil:
		return err
	case i.Identity == r.Identity:
		return errors.New("a conversation of somebody with themselves")
	}
	b.channels = append(b.channels, &conversation{facts.Channel{ID: id, Initiator: i.Person, Responder: r.Person}, i.index, r.index})
	return nil
}

func (b *book) status(w *words) error {
	n := next(w, b.report.Statuses)
	p := of(w, "person", b.people)
	cert, issuer := of(w, "certificate", b.certificates), of(w, "certificate", b.certificates)
	hash := w.hash()
	if err := w.done(); err != nil {
		return err
	}
	file, err := b.file("ocsp", n, "der")
	at := slices.Index(p.chain, cert)
	switch {
	case err != nil:
		return err
	case sha256.Sum256(file) != hash:
		return fmt.Errorf("%s is another answer", bundle.Name("ocsp", n, "der"))
	case at < 0 || at+1 >= len(p.chain) || p.chain[at+1] != issuer:
		return errors.New("not a certificate of that person and its issuer")
	}
	from, until, err := revocation.Read(file, cert, issuer)
	b.report.Statuses = append(b.report.Statuses, Status{p.index, cert, from, until})
	return err
}

// over refuses a proof that ends too early.
func (b *book) over() error {
	if b.run == nil {
		return errors.New("nothing is proved")
	}
	return b.run.over()
}

func nameOf(c *x509.Certificate) string {
	if name := cardauth.DisplayName(c); name != "" {
		return name
	}
	return strings.ToValidUTF8(c.Subject.String(), "\uFFFD")
}

// Fingerprint is SHA-256 over a certificate's DER, by which people compare anchors.
func Fingerprint(c *x509.Certificate) [32]byte { return sha256.Sum256(c.Raw) }
