package fork

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"sinete/cardauth/seal"
	"sinete/wire"
)

//go:embed verify.sh
var script []byte

// The files of a proof, in this order; those of a delegation only where there is one.
const (
	scriptFile   = "verify.sh"
	summaryFile  = "summary.txt"
	proofFile    = "fork.txt"
	leafFile     = "leaf.pem"
	chainFile    = "chain.pem"
	manifestFile = "manifest.txt"
)

// maxFile bounds each file of a proof that is read, in bytes.
const maxFile = 256 << 10

type file struct {
	name string
	data []byte
}

// part is one of the three things that are sealed.
type part struct {
	name      string
	statement []byte
	purpose   wire.Purpose
	seal      *wire.Seal
	signer    [32]byte
}

func (p *Proof) parts() []part {
	leaf := p.Credentials.Chain[0]
	var parts []part
	var delegation []byte
	if d := p.Credentials.Delegation; d != nil {
		delegation = d.Statement
		parts = append(parts, part{"delegation", d.Statement, wire.PurposeDelegation, &d.Seal, wire.SignerHash(leaf, nil)})
	}
	for i, name := range []string{"a", "b"} {
		parts = append(parts, part{name, p.Seals[i].Statement, p.Purpose, &p.Seals[i].Seal, wire.SignerHash(leaf, delegation)})
	}
	return parts
}

// Pack is the proof as a file: a zip archive. The proof must have a certificate, and each seal a path that fits its leaves. The error is an *Error.
func (p *Proof) Pack() ([]byte, error) {
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	c, err := p.compare()
	if err != nil {
		return nil, err
	}
	files = append([]file{{scriptFile, script}, {summaryFile, []byte(p.summary(c))}}, files...)
	files = append(files, file{manifestFile, manifest(files)})
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			return nil, &Error{f.name, err}
		}
	}
	if err := z.Close(); err != nil {
		return nil, &Error{"the archive", err}
	}
	return b.Bytes(), nil
}

func manifest(files []file) []byte {
	var b []byte
	for _, f := range files {
		b = fmt.Appendf(b, "%x  %s\n", sha256.Sum256(f.data), f.name)
	}
	return b
}

// files are those that follow from the proof alone.
func (p *Proof) files() ([]file, error) {
	if len(p.Credentials.Chain) == 0 {
		return nil, &Error{Reason: "no certificate"}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "format sinete-fork-1\npurpose %d\n", p.Purpose)
	var signed []file
	for _, part := range p.parts() {
		s := part.seal
		root, ok := seal.RootOf(seal.Leaf(part.purpose, s.Salt, part.statement), s.Leaves, s.Index, s.Path)
		if !ok {
			return nil, &Error{Reason: "leaves, index and path of a seal do not fit"}
		}
		fmt.Fprintf(&text, "%[1]s.statement %[2]x\n%[1]s.scheme %04[3]x\n%[1]s.time %[4]d\n%[1]s.leaves %[5]d\n%[1]s.index %[6]d\n%[1]s.salt %[7]x\n%[1]s.path ",
			part.name, part.statement, uint16(s.Scheme), s.Time, s.Leaves, s.Index, s.Salt)
		for _, n := range s.Path {
			fmt.Fprintf(&text, "%x", n)
		}
		text.WriteString("\n")
		in := wire.SealInput{Signer: part.signer, Time: s.Time, Leaves: s.Leaves, Root: root}
		signed = append(signed, file{part.name + ".bin", in.Append(nil)}, file{part.name + ".sig", s.Signature})
	}
	text.WriteString("end\n")
	certificate := func(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}) }
	var others []byte
	for _, der := range p.Credentials.Chain[1:] {
		others = append(others, certificate(der)...)
	}
	return append([]file{{proofFile, []byte(text.String())}, {leafFile, certificate(p.Credentials.Chain[0])}, {chainFile, others}}, signed...), nil
}

// summary says in words what the proof is.
func (p *Proof) summary(c *Contradiction) string {
	name := "somebody"
	if leaf, err := x509.ParseCertificate(p.Credentials.Chain[0]); err == nil {
		name = strconv.Quote(leaf.Subject.String())
	}
	return fmt.Sprintf(`Proof of a fork (sinete/1)

The holder of the certificate of
  %s
has sealed two different values for one place, which nobody does who keeps to the protocol:
  %v

The first seal is of %s, the second of %s, by their own clock.

Verify it with   sh verify.sh ROOT.pem   in the folder of this file; ROOT.pem is the certificate of an authority that you trust.
Or with          peer evidence verify --trust DIR FORK.zip

What it does not show: what was said, and whether somebody else had the card then. Ask the authority since when it was revoked, if it was.
`, name, c, p.Seals[0].Time().Format("2006-01-02 15:04:05 UTC"), p.Seals[1].Time().Format("2006-01-02 15:04:05 UTC"))
}

// Parse reads a proof. It verifies no seal, but that all files say the same. The error is an *Error.
func Parse(b []byte) (*Proof, error) {
	got, err := unzip(b)
	if err != nil {
		return nil, &Error{"the archive", err}
	}
	if len(got) < 6 || got[0].name != scriptFile || got[1].name != summaryFile || got[2].name != proofFile || got[3].name != leafFile || got[4].name != chainFile {
		return nil, &Error{Reason: "other files than a proof has"}
	}
	p, err := parse(got)
	if err != nil {
		return nil, err
	}
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	files = append(slices.Clone(got[:2]), files...) // these two may be of another version of this program
	files = append(files, file{manifestFile, manifest(files)})
	same := func(a, b file) bool { return a.name == b.name && bytes.Equal(a.data, b.data) }
	if !slices.EqualFunc(got, files, same) {
		return nil, &Error{Reason: "its files do not say the same"}
	}
	return p, nil
}

// Is reports whether a file looks like a proof of a fork.
func Is(b []byte) bool {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	return err == nil && slices.ContainsFunc(z.File, func(f *zip.File) bool { return f.Name == proofFile })
}

func unzip(b []byte) (files []file, err error) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	if len(z.File) > 12 {
		return nil, errors.New("too many files")
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
		if err == nil && len(data) > maxFile {
			err = fmt.Errorf("%s is too large", f.Name)
		}
		if err != nil {
			return nil, err
		}
		files = append(files, file{f.Name, data})
	}
	return files, nil
}

// parse takes the proof from its files. What it passes over Parse finds, since it makes them again.
func parse(files []file) (*Proof, error) {
	p := &Proof{}
	for _, pems := range files[3:5] {
		for block, rest := pem.Decode(pems.data); block != nil; block, rest = pem.Decode(rest) {
			p.Credentials.Chain = append(p.Credentials.Chain, block.Bytes)
		}
	}
	if n := len(p.Credentials.Chain); n == 0 || n > wire.MaxChain {
		return nil, &Error{Reason: fmt.Sprintf("%d certificates", n)}
	}
	values := map[string]string{}
	for line := range strings.Lines(string(files[2].data)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		values[name] = value
	}
	purpose, err := strconv.ParseUint(values["purpose"], 10, 8)
	if err != nil {
		return nil, &Error{proofFile, err}
	}
	p.Purpose = wire.Purpose(purpose)
	sealed := func(name string) (s Sealed) {
		r := reader{values: values, part: name}
		s = r.sealed()
		for _, f := range files {
			if f.name == name+".sig" {
				s.Seal.Signature = f.data
			}
		}
		if r.err != nil {
			err = r.err
		}
		return s
	}
	p.Seals = [2]Sealed{sealed("a"), sealed("b")}
	if _, delegated := values["delegation.statement"]; delegated {
		d := sealed("delegation")
		p.Credentials.Delegation = &wire.SealedDelegation{Statement: d.Statement, Seal: d.Seal}
	}
	if err != nil {
		return nil, &Error{proofFile, err}
	}
	return p, nil
}

// reader reads the values of one part.
type reader struct {
	values map[string]string
	part   string
	err    error
}

func (r *reader) sealed() (s Sealed) {
	s.Statement = r.hex("statement")
	s.Seal.Scheme = wire.Scheme(r.number("scheme", 16, 16))
	s.Seal.Time = r.number("time", 10, 62) // a time that every reader has numbers for
	s.Seal.Leaves = uint32(r.number("leaves", 10, 32))
	s.Seal.Index = uint32(r.number("index", 10, 32))
	copy(s.Seal.Salt[:], r.hex("salt"))
	path := r.hex("path")
	if len(path)%32 != 0 || len(path) > 32*32 {
		r.err = errors.New("a path of another length")
		return s
	}
	for node := range slices.Chunk(path, 32) {
		s.Seal.Path = append(s.Seal.Path, [32]byte(node))
	}
	return s
}

func (r *reader) hex(field string) []byte {
	b, err := hex.DecodeString(r.values[r.part+"."+field])
	if err != nil {
		r.err = err
	}
	return b
}

func (r *reader) number(field string, base, bits int) uint64 {
	n, err := strconv.ParseUint(r.values[r.part+"."+field], base, bits)
	if err != nil {
		r.err = err
	}
	return n
}
