package fork

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/seal"
	"sinete/cardauth/softcard"
	"sinete/internal/judge"
	"sinete/internal/trialpki"
	"sinete/wire"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// signer seals with somebody's key.
type signer struct {
	t      *testing.T
	shown  wire.Credentials
	sealer *seal.Sealer
}

func signerOf(t *testing.T, issued *trialpki.Issued, err error, scheme wire.Scheme, delegates bool) *signer {
	t.Helper()
	must(t, err)
	card, err := softcard.FromKey(issued.Key, issued.Chain, scheme)
	must(t, err)
	s := &signer{t: t, shown: wire.Credentials{Chain: issued.Chain}}
	var key seal.Key = card
	if delegates {
		d, err := cardauth.NewDelegate("relay.example", time.Now().Add(time.Hour))
		must(t, err)
		s.sealer = seal.NewSealer(card, wire.SignerHash(issued.Chain[0], nil), seal.Config{})
		t.Cleanup(s.sealer.Close)
		s.shown.Delegation = &wire.SealedDelegation{Statement: d.Statement(), Seal: s.seals(wire.PurposeDelegation, d.Statement())[0]}
		key = d
	}
	var statement []byte
	if delegates {
		statement = s.shown.Delegation.Statement
	}
	s.sealer = seal.NewSealer(key, wire.SignerHash(issued.Chain[0], statement), seal.Config{})
	t.Cleanup(s.sealer.Close)
	return s
}

func (s *signer) seals(p wire.Purpose, statements ...[]byte) []wire.Seal {
	s.t.Helper()
	seals, err := s.sealer.Seal(context.Background(), "", func() (all []seal.Statement) {
		for _, b := range statements {
			all = append(all, seal.Statement{Purpose: p, Bytes: b})
		}
		return all
	})
	must(s.t, err)
	return seals
}

// entry seals a head, beside other leaves in its batch.
func (s *signer) entry(h wire.Head, others int) *wire.SealEntry {
	all := [][]byte{h.Append(nil)}
	for range others {
		all = append([][]byte{{1}}, all...)
	}
	return &wire.SealEntry{Head: h, Seal: s.seals(wire.PurposeHead, all...)[others]}
}

func mine(channel byte, epoch, count uint64, value byte) wire.Head {
	return wire.Head{Channel: [32]byte{channel}, Lane: 4, Role: wire.RoleInitiator, Mine: &wire.Place{Epoch: epoch, Count: count, T: [32]byte{value}}}
}

func auditHead(log byte, size uint64, root byte) []byte {
	b := append(make([]byte, 15), log)
	b = binary.BigEndian.AppendUint64(b, size)
	return append(append(b, make([]byte, 31)...), root)
}

// a world with somebody who cheats with each kind of key, and a relay that does.
type forks struct {
	policy *cardauth.Policy
	root   string // a file
	all    map[string]*Proof
}

func newForks(t *testing.T) *forks {
	t.Helper()
	w, err := trialpki.New(trialpki.Options{})
	must(t, err)
	f := &forks{policy: &cardauth.Policy{Anchors: []*x509.Certificate{w.Root.Certificate}}, root: filepath.Join(t.TempDir(), "root.pem"), all: map[string]*Proof{}}
	must(t, os.WriteFile(f.root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Root.Certificate.Raw}), 0o600))
	heads := func(s *signer) *Proof {
		return Heads(s.shown, s.entry(mine(1, 2, 300, 7), 0), s.entry(mine(1, 2, 300, 8), 4))
	}
	person := func(k trialpki.KeyType, scheme wire.Scheme, delegates bool) *Proof {
		issued, err := w.IssuePerson(trialpki.Person{Name: "mallory", Key: k})
		return heads(signerOf(t, issued, err, scheme, delegates))
	}
	f.all["P-256"] = person(trialpki.P256, wire.SchemeP256, false)
	f.all["P-384"] = person(trialpki.P384, wire.SchemeP384, false)
	f.all["RSA"] = person(trialpki.RSA2048, wire.SchemeRSAPKCS1, false)
	f.all["RSA-PSS"] = person(trialpki.RSA2048, wire.SchemeRSAPSS, false)
	f.all["delegated"] = person(trialpki.P256, wire.SchemeP256, true)
	issued, err := w.IssueRelay(trialpki.Relay{Names: []string{"relay.example"}})
	relay := signerOf(t, issued, err, wire.SchemeP256, false)
	f.all["relay"] = heads(relay)
	yours := func(value byte) *wire.SealEntry {
		return relay.entry(wire.Head{Lane: 1 << 20, Role: wire.RoleResponder, Yours: wire.Place{Epoch: 1, Count: 1 << 14, T: [32]byte{value}}}, 1)
	}
	f.all["received"] = Heads(relay.shown, yours(1), yours(2))
	var audit [2]Sealed
	for i := range audit {
		b := auditHead(9, 1000, byte(i))
		audit[i] = Sealed{b, relay.seals(wire.PurposeAuditHead, b)[0]}
	}
	f.all["audit log"] = AuditHeads(relay.shown.Chain, audit[0], audit[1])
	return f
}

// shell runs a verify.sh with openssl, sha256sum and sh, and nothing else, and reports whether it accepts a folder.
func shell(t *testing.T, script, root, folder string) (output string, ok bool) {
	t.Helper()
	status, stdout, stderr := judge.New(t, "sh").Run(filepath.Dir(script), root, folder)
	return stdout + stderr, status == 0 && strings.Contains(stdout, "PROVED: a fork")
}

// unpack writes the files of a proof to a folder.
func unpack(t *testing.T, b []byte) (folder string) {
	t.Helper()
	folder = t.TempDir()
	files, err := unzip(b)
	must(t, err)
	for _, f := range files {
		must(t, os.WriteFile(filepath.Join(folder, f.name), f.data, 0o600))
	}
	return folder
}

// What somebody has sealed twice is proved to whoever trusts their authority, by this package and by openssl alone; to nobody else.
func TestProof(t *testing.T) {
	f := newForks(t)
	other, err := trialpki.New(trialpki.Options{})
	must(t, err)
	stranger := filepath.Join(t.TempDir(), "other.pem")
	must(t, os.WriteFile(stranger, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.Root.Certificate.Raw}), 0o600))
	for name, p := range f.all {
		t.Run(name, func(t *testing.T) {
			packed, err := p.Pack()
			must(t, err)
			if !Is(packed) {
				t.Error("it does not look like one")
			}
			read, err := Parse(packed)
			must(t, err)
			found, err := read.Verify(f.policy)
			must(t, err)
			again, err := read.Pack()
			must(t, err)
			if !bytes.Equal(again, packed) {
				t.Error("what was read makes another file")
			}
			if found.Values[0] == found.Values[1] || found.Relay != (found.Party.Identity == "") || found.Delegated != (name == "delegated") {
				t.Errorf("found %+v", found)
			}
			if _, err := read.Verify(&cardauth.Policy{Anchors: []*x509.Certificate{other.Root.Certificate}}); err == nil {
				t.Error("it is a proof under another authority too")
			}
			folder := unpack(t, packed)
			script := filepath.Join(folder, scriptFile)
			out, ok := shell(t, script, f.root, folder)
			if !ok {
				t.Errorf("verify.sh says\n%s", out)
			}
			if out, ok := shell(t, script, stranger, folder); ok || !strings.Contains(out, "NOT PROVED") {
				t.Errorf("under another authority verify.sh says\n%s", out)
			}
		})
	}
}

// Two heads that do not contradict each other prove nothing, however they are put together.
func TestNoProof(t *testing.T) {
	w, err := trialpki.New(trialpki.Options{})
	must(t, err)
	policy := &cardauth.Policy{Anchors: []*x509.Certificate{w.Root.Certificate}}
	root := filepath.Join(t.TempDir(), "root.pem")
	must(t, os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.Root.Certificate.Raw}), 0o600))
	issue := func(name string) *signer {
		issued, err := w.IssuePerson(trialpki.Person{Name: name})
		return signerOf(t, issued, err, wire.SchemeP256, false)
	}
	bob, carol := issue("bob"), issue("carol")
	first := mine(1, 2, 3, 7)
	headOf := func(change func(h *wire.Head)) wire.Head {
		h := mine(1, 2, 3, 8)
		change(&h)
		return h
	}
	for _, c := range []struct {
		name string
		by   *signer
		head wire.Head
	}{
		{"twice the same", bob, first},
		{"another place", bob, headOf(func(h *wire.Head) { h.Mine.Count++ })},
		{"another epoch", bob, headOf(func(h *wire.Head) { h.Mine.Epoch++ })},
		{"another lane", bob, headOf(func(h *wire.Head) { h.Lane++ })},
		{"another channel", bob, headOf(func(h *wire.Head) { h.Channel[0]++ })},
		{"the other side's role", bob, headOf(func(h *wire.Head) { h.Role = wire.RoleResponder })},
		{"no claim of one's own", bob, headOf(func(h *wire.Head) { h.Mine = nil })},
		{"what was received further on", bob, headOf(func(h *wire.Head) { h.Mine, h.Yours.Count, h.Yours.T[0] = nil, 1, 1 })},
		{"another person", carol, headOf(func(*wire.Head) {})},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := bob.entry(first, 0), c.by.entry(c.head, 0)
			p := Heads(bob.shown, a, b)
			if (p != nil) != (c.by == carol) {
				t.Errorf("made of them: %v", p)
			}
			// By hand, then.
			p = &Proof{Purpose: wire.PurposeHead, Credentials: bob.shown, Seals: [2]Sealed{{a.Head.Append(nil), a.Seal}, {b.Head.Append(nil), b.Seal}}}
			if found, err := p.Verify(policy); err == nil {
				t.Errorf("proved: %+v", found)
			} else if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("a %T", err)
			}
			files, err := p.files()
			must(t, err)
			folder := writes(t, append([]file{{scriptFile, script}, {summaryFile, []byte("Lies.\n")}}, files...))
			if out, ok := shell(t, filepath.Join(folder, scriptFile), root, folder); ok || !strings.Contains(out, "NOT PROVED") {
				t.Errorf("verify.sh says\n%s", out)
			}
		})
	}
	for name, second := range map[string][]byte{"of the same": auditHead(1, 5, 1), "of another size": auditHead(1, 6, 2), "of another log": auditHead(2, 5, 2), "of no log": auditHead(1, 5, 2)[1:]} {
		if p := AuditHeads(bob.shown.Chain, Sealed{Statement: auditHead(1, 5, 1)}, Sealed{Statement: second}); p != nil {
			t.Errorf("two heads %s are a fork of an audit log", name)
		}
	}
	person := &Proof{Purpose: wire.PurposeAuditHead, Credentials: bob.shown}
	for i := range person.Seals {
		b := auditHead(1, 5, byte(i))
		person.Seals[i] = Sealed{b, bob.seals(wire.PurposeAuditHead, b)[0]}
	}
	if _, err := person.Verify(policy); err == nil {
		t.Error("a person has an audit log")
	}
	files, err := person.files()
	must(t, err)
	folder := writes(t, append([]file{{scriptFile, script}, {summaryFile, []byte("Lies.\n")}}, files...))
	if out, ok := shell(t, filepath.Join(folder, scriptFile), root, folder); ok || !strings.Contains(out, "no relay's") {
		t.Errorf("of a person's audit log verify.sh says\n%s", out)
	}
}

// writes writes files with their manifest.
func writes(t *testing.T, files []file) (folder string) {
	t.Helper()
	folder = t.TempDir()
	for _, f := range append(files, file{manifestFile, manifest(files)}) {
		must(t, os.WriteFile(filepath.Join(folder, f.name), f.data, 0o600))
	}
	return folder
}

// No byte of any file of a proof can be another one.
func TestEveryByte(t *testing.T) {
	f := newForks(t)
	packed, err := f.all["delegated"].Pack()
	must(t, err)
	files, err := unzip(packed)
	must(t, err)
	for i := range files {
		for at := range files[i].data {
			files[i].data[at] ^= 1
			if _, err := Parse(rezip(t, files)); err == nil {
				t.Errorf("byte %d of %s may be another one", at, files[i].name)
			}
			files[i].data[at] ^= 1
		}
	}
	if _, err := Parse(rezip(t, files)); err != nil {
		t.Error("the genuine one is refused:", err)
	}
	// The script takes longer; of each file, then, some bytes everywhere in it.
	folder, script := unpack(t, packed), filepath.Join(unpack(t, packed), scriptFile)
	for _, file := range files {
		n := len(file.data)
		for _, at := range []int{0, n / 5, 2 * n / 5, n / 2, 4 * n / 5, n - 1} {
			path := filepath.Join(folder, file.name)
			changed := bytes.Clone(file.data)
			changed[at] ^= 1
			must(t, os.WriteFile(path, changed, 0o600))
			if out, ok := shell(t, script, f.root, folder); ok {
				t.Errorf("byte %d of %s may be another one:\n%s", at, file.name, out)
			}
			must(t, os.WriteFile(path, file.data, 0o600))
		}
	}
	if out, ok := shell(t, script, f.root, folder); !ok {
		t.Errorf("the genuine one is refused:\n%s", out)
	}
}

func rezip(t *testing.T, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store})
		must(t, err)
		_, err = io.Copy(w, bytes.NewReader(f.data))
		must(t, err)
	}
	must(t, z.Close())
	return b.Bytes()
}

// What fork.txt may say is read, or refused, and what is read makes the same files again.
func FuzzParse(f *testing.F) {
	a, b := mine(1, 2, 3, 4), mine(1, 2, 3, 5)
	card := wire.Seal{Signature: []byte{1}, Leaves: 1}
	p := Heads(wire.Credentials{Chain: [][]byte{{1}}, Delegation: &wire.SealedDelegation{Statement: []byte{2}, Seal: card}}, &wire.SealEntry{Head: a, Seal: card},
		&wire.SealEntry{Head: b, Seal: wire.Seal{Signature: []byte{1}, Leaves: 2, Index: 1, Path: make([][32]byte, 1)}})
	files, err := p.files()
	if err != nil {
		f.Fatal(err)
	}
	files = append([]file{{scriptFile, nil}, {summaryFile, nil}}, files...)
	f.Add(files[2].data)
	f.Fuzz(func(t *testing.T, text []byte) {
		files := slices.Clone(files)
		files[2].data = text
		p, err := parse(files)
		if err != nil {
			return
		}
		if _, err := p.files(); err != nil {
			return
		}
		if _, err := p.Verify(&cardauth.Policy{}); err == nil {
			t.Error("proved to somebody who trusts nobody")
		}
	})
}
