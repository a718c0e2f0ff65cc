package evidence

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/internal/trialpki"
	"sinete/wire"

	"sinete/peer/evidence/internal/bundle"
)

// forgery is evidence written by hand, so that it can lie where no exporter would.
type forgery struct {
	t                 testing.TB
	files             map[string][]byte
	definitions, runs string    // lines
	now               time.Time // of seals
	count             map[string]int
	anchor            *x509.Certificate

	direction wire.Direction
	channel   [32]byte
	place     wire.Place
	people    [2]*forged // by direction
}

// forged is a person of a forgery.
type forged struct {
	*cardauth.Party
	number, signer int // of the lines
	seals          seal.Signer
	key            seal.Key
}

type leaf struct {
	purpose   wire.Purpose
	salt      [16]byte
	statement []byte
}

func newForgery(t testing.TB, anchor *x509.Certificate) *forgery {
	f := &forgery{t: t, anchor: anchor, files: map[string][]byte{}, count: map[string]int{}, now: time.Now()}
	f.line(bundle.FirstLine)
	return f
}

func (f *forgery) line(format string, args ...any) {
	f.definitions += fmt.Sprintf(format+"\n", args...)
}

func (f *forgery) next(kind string) int {
	f.count[kind]++
	return f.count[kind]
}

func (f *forgery) pem(name, kind string, der []byte) {
	f.files[name] = pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func (f *forgery) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// certificate writes one that is not there yet, and returns its number.
func (f *forgery) certificate(der []byte) int {
	key := fmt.Sprintf("certificate %x", sha256.Sum256(der))
	if f.count[key] == 0 {
		f.count[key] = f.next("certificate")
		f.line("certificate %d %x", f.count[key], sha256.Sum256(der))
		f.pem(fmt.Sprintf("cert-%d.pem", f.count[key]), "CERTIFICATE", der)
	}
	return f.count[key]
}

// person writes the lines of a person who seals under that scheme, with Ed25519 by delegation.
func (f *forgery) person(i *trialpki.Issued, scheme wire.Scheme) *forged {
	f.t.Helper()
	policy := cardauth.Policy{Anchors: []*x509.Certificate{f.anchor}, Revocation: cardauth.RevocationOff}
	party, err := policy.VerifyPerson(i.Chain, nil)
	f.must(err)
	p := &forged{Party: party, number: f.next("person")}
	numbers := ""
	for _, der := range append(party.Chain[:len(party.Chain):len(party.Chain)], party.Anchor.Raw) {
		numbers += fmt.Sprintf(" %d", f.certificate(der))
	}
	f.line("person %d %s%s", p.number, party.Identity, numbers)
	under := scheme
	if scheme == wire.SchemeEd25519 {
		under, err = seal.DefaultScheme(i.Certificate.PublicKey)
		f.must(err)
	}
	card, err := softcard.FromKey(i.Key, i.Chain, under)
	f.must(err)
	p.signer = f.next("signer")
	f.line("signer %d person %d", p.signer, p.number)
	f.pem(fmt.Sprintf("key-%d.pem", p.signer), "PUBLIC KEY", i.Certificate.RawSubjectPublicKeyInfo)
	p.key = card
	p.seals, err = party.Signer(under, nil)
	f.must(err)
	if scheme != wire.SchemeEd25519 {
		return p
	}
	d, err := cardauth.NewDelegate("relay.example", time.Now().Add(time.Hour))
	f.must(err)
	tails := f.seal(p, leaf{wire.PurposeInitiator, [16]byte{1}, []byte("TH2")}, leaf{wire.PurposeDelegation, [16]byte{2}, d.Statement()})
	f.line("delegation %d %s", f.next("delegation"), tails[1])
	p.signer, p.key = f.next("signer"), d
	f.line("signer %d delegation %d", p.signer, f.count["delegation"])
	key := d.Delegation().Key
	f.pem(fmt.Sprintf("key-%d.pem", p.signer), "PUBLIC KEY", append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, key[:]...))
	p.seals, err = party.Signer(scheme, d.Statement())
	f.must(err)
	return p
}

// seal writes a seal and returns how its statements stand in lines.
func (f *forgery) seal(p *forged, leaves ...leaf) (tails []string) {
	f.t.Helper()
	var hashes [][32]byte
	for _, l := range leaves {
		hashes = append(hashes, seal.Leaf(l.purpose, l.salt, l.statement))
	}
	for len(hashes)&(len(hashes)-1) != 0 {
		hashes = append(hashes, sha256.Sum256([]byte{byte(len(hashes))}))
	}
	paths, level := make([]string, len(leaves)), hashes
	for height := 0; len(level) > 1; height++ {
		for i := range leaves {
			paths[i] += fmt.Sprintf(" %x", level[i>>height^1])
		}
		var up [][32]byte
		for i := 0; i < len(level); i += 2 {
			up = append(up, sha256.Sum256(append(append([]byte{1}, level[i][:]...), level[i+1][:]...)))
		}
		level = up
	}
	in := wire.SealInput{Signer: p.seals.Digest, Time: uint64(f.now.Unix()), Leaves: uint32(len(hashes)), Root: level[0]}
	sig, err := p.key.SealRoot(f.t.Context(), in)
	f.must(err)
	n := f.next("seal")
	f.line("seal %d %d %04x %d %d %x", n, p.signer, uint16(p.seals.Scheme), in.Time, in.Leaves, in.Root)
	f.files[fmt.Sprintf("seal-%d.bin", n)], f.files[fmt.Sprintf("seal-%d.sig", n)] = in.Append(nil), sig
	for i, l := range leaves {
		tails = append(tails, fmt.Sprintf("%d %d %x %x%s", n, i, l.salt, l.statement, paths[i]))
	}
	return tails
}

// status writes what the person's issuer says of their certificate.
func (f *forgery) status(w *trialpki.World, p *forged) {
	f.t.Helper()
	r, err := w.Responder()
	f.must(err)
	q, err := ocsp.CreateRequest(p.Certificate, w.Authentication.Certificate, nil)
	f.must(err)
	out := httptest.NewRecorder()
	r.ServeHTTP(out, httptest.NewRequest("POST", "/", bytes.NewReader(q)))
	n := f.next("answer")
	f.line("status %d %d %d %d %x", n, p.number, f.certificate(p.Chain[0]), f.certificate(p.Chain[1]), sha256.Sum256(out.Body.Bytes()))
	f.files[fmt.Sprintf("ocsp-%d.der", n)] = out.Body.Bytes()
}

// converse begins a channel.
func (f *forgery) converse(initiator, responder *forged) {
	f.people = [2]*forged{initiator, responder}
	f.channel = sha256.Sum256([]byte{byte(f.next("channel"))})
	f.line("channel %d %x %d %d", f.count["channel"], f.channel, initiator.number, responder.number)
}

// begin begins a run.
func (f *forgery) begin(d wire.Direction, at wire.Place) {
	f.direction, f.place = d, at
	f.step("run %d %d %d %d %x", f.count["channel"], d, at.Epoch, at.Count, at.T)
}

func (f *forgery) step(format string, args ...any) { f.runs += fmt.Sprintf(format+"\n", args...) }

func (f *forgery) follow(digest [32]byte) {
	f.place.T = wire.NextTranscript(f.place.T, digest)
	f.place.Count++
}

func (f *forgery) hidden() {
	digest := sha256.Sum256([]byte("something else"))
	f.step("hidden %x", digest)
	f.follow(digest)
}

func (f *forgery) author() *forged    { return f.people[f.direction-1] }
func (f *forgery) recipient() *forged { return f.people[2-f.direction] }

func (f *forgery) message(number uint64, text string, label wire.Level) {
	n := f.next("text")
	a, r := f.author(), f.recipient()
	content := &wire.Content{Parties: wire.Parties(a.Identity, a.KeyHash, r.Identity, r.KeyHash), ID: [16]byte{byte(n), 0xff}, Time: uint64(time.Now().UnixMilli()),
		Type: wire.ContentText, Number: number, Text: text}
	opening := sha256.Sum256([]byte{'o', byte(n)})
	header := wire.AppendVarint(wire.AppendVarint(nil, f.place.Epoch), f.place.Count)
	header = label.Append(append(header, byte(wire.EnvelopeContent)))
	commitment := wire.Commitment(opening, f.channel, 0, f.direction, header, content.Append(nil))
	header = append(header, commitment[:]...)
	ciphertext := sha256.Sum256([]byte{'c', byte(n)})
	f.files[fmt.Sprintf("text-%d.txt", n)] = []byte(text)
	f.step("message %d %d %x %016x %x %x %x", n, number, content.ID, content.Time, header, ciphertext, opening)
	f.follow(wire.InnerDigestOf(header, ciphertext))
}

func (f *forgery) epoch() {
	th := []byte(strings.Repeat("h", 48))
	f.place = wire.Place{Epoch: f.place.Epoch + 1, T: wire.FirstTranscript(th, 0, f.direction, f.place.Count, f.place.T)}
	f.step("epoch %d %x", f.place.Epoch, th)
}

// head has the author seal the place reached.
func (f *forgery) head() {
	f.t.Helper()
	f.step("head %s", f.sealed(f.author(), wire.Head{Channel: f.channel, Role: wire.Role(f.direction), Mine: &f.place, Yours: wire.Place{Epoch: 1, Count: 70, T: [32]byte{7}}}))
}

// receipt has the recipient acknowledge the place reached.
func (f *forgery) receipt(mine *wire.Place) {
	f.t.Helper()
	f.step("receipt %s", f.sealed(f.recipient(), wire.Head{Channel: f.channel, Role: wire.Role(3 - f.direction), Mine: mine, Yours: f.place}))
}

// sealed seals a head beside others that nobody sees.
func (f *forgery) sealed(by *forged, h wire.Head) (tail string) {
	f.t.Helper()
	return f.seal(by, leaf{wire.PurposeHead, [16]byte{3}, []byte("another")}, leaf{wire.PurposeHead, [16]byte{4}, h.Append(nil)},
		leaf{wire.PurposeHead, [16]byte{5}, []byte("a third")})[1]
}

// bundle is what was written.
func (f *forgery) bundle() map[string][]byte {
	f.files[bundle.Proof] = []byte(f.definitions + f.runs + bundle.LastLine + "\n")
	r, err := read(f.files)
	if err != nil {
		r = &Report{}
	}
	derive(f.files, r)
	return f.files
}
