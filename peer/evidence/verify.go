// Package evidence says what a bundle of evidence proves to whoever was not there: it is verified with nothing but a trust anchor (docs/evidence.md,
// protocol.md section 12), and without the store that it came from. Package export makes bundles of what a store holds.
//
// Most readers need Verify.
package evidence

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"

	"sinete/peer/evidence/internal/bundle"
	"sinete/peer/evidence/internal/stamp"
)

// MaxBundle is the largest bundle that is made or read, in bytes.
const MaxBundle = bundle.MaxSize

// Verify says what a bundle proves (docs/evidence.md). Where anchors are given, everybody's certificates must lead to one of them; where none are, whoever
// asks must compare those of the report. A bundle is at most MaxBundle bytes. The error is a *LineError, *FileError or *AnchorError: then it proves nothing.
func Verify(b []byte, anchors []*x509.Certificate) (*Report, error) {
	if len(b) > MaxBundle {
		return nil, &FileError{"", ErrTooMuch}
	}
	files, err := bundle.Unpack(b)
	if err != nil {
		return nil, &FileError{"", err}
	}
	if !bytes.Equal(files[bundle.Manifest], bundle.ManifestOf(files)) {
		return nil, &FileError{bundle.Manifest, errors.New("not what the files are: one of them, or the manifest, was changed")}
	}
	if !bytes.Equal(files[bundle.Script], script) {
		return nil, &FileError{bundle.Script, errors.New("not that of this version")}
	}
	r, err := read(files)
	if err != nil {
		return nil, err
	}
	again := map[string][]byte{}
	for name := range files {
		if !bundle.Derived(name) {
			again[name] = files[name]
		}
	}
	derive(again, r)
	for _, name := range slices.Sorted(maps.Keys(again)) {
		if !bytes.Equal(files[name], again[name]) {
			return nil, &FileError{name, errors.New("not what the proof makes it")}
		}
	}
	if packed, err := bundle.Pack(again); err != nil || !bytes.Equal(packed, b) {
		return nil, &FileError{"", bundle.ErrNone}
	}
	return r, trusted(r, anchors)
}

// Make makes a bundle: of proof.txt, the files that its lines name, and stamps, to which it adds those that follow from them. The error is a *LineError
// or *FileError, as of Verify, since what proves nothing becomes no bundle; or ErrTooMuch.
func Make(files map[string][]byte) ([]byte, *Report, error) {
	r, err := read(files)
	if err != nil {
		return nil, nil, err
	}
	derive(files, r)
	b, err := bundle.Pack(files)
	return b, r, err
}

func trusted(r *Report, anchors []*x509.Certificate) error {
	refused := func(who string, a *x509.Certificate) error {
		if anchors != nil && !slices.ContainsFunc(anchors, a.Equal) {
			return &AnchorError{who, nameOf(a), Fingerprint(a)}
		}
		return nil
	}
	for i := range r.People {
		if err := refused(r.People[i].Identity, r.People[i].Anchor()); err != nil {
			return err
		}
	}
	for i := range r.Relays {
		if err := refused(r.Relays[i].Name, r.Relays[i].Anchor()); err != nil {
			return err
		}
	}
	for i := range r.Stamps {
		if err := refused(nameOf(r.Stamps[i].Certificate), r.Stamps[i].Anchor); err != nil {
			return err
		}
	}
	return nil
}

// derive adds the files that follow from the others.
func derive(files map[string][]byte, r *Report) {
	files[bundle.Script] = script
	files[bundle.Text], files[bundle.Page] = summarize(r)
	files[bundle.Manifest] = bundle.ManifestOf(files)
}

// read verifies proof.txt and the files that its lines name, which must be all that are there but for the derived ones.
func read(files map[string][]byte) (*Report, error) {
	b := &book{files: files, used: map[string]bool{bundle.Proof: true}, leaves: map[*x509.Certificate]bool{}, report: &Report{}}
	if err := eachLine(files[bundle.Proof], b.line); err != nil {
		return nil, err
	}
	if err := b.over(); err != nil {
		return nil, &FileError{bundle.Proof, err}
	}
	if err := b.stamps(); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !b.used[name] && !bundle.Derived(name) {
			return nil, &FileError{name, errors.New("nothing of the proof names it")}
		}
	}
	return b.report, nil
}

// file is one that a line names, and nothing else.
func (b *book) file(kind string, n int, ext string) ([]byte, error) {
	name := bundle.Name(kind, n, ext)
	content, there := b.files[name]
	if !there {
		return nil, fmt.Errorf("%s is missing", name)
	}
	b.used[name] = true
	return content, nil
}

// must refuses a file that is not exactly this.
func (b *book) must(kind string, n int, ext string, content []byte) error {
	got, err := b.file(kind, n, ext)
	if err == nil && !bytes.Equal(got, content) {
		err = fmt.Errorf("%s is not what it must be", bundle.Name(kind, n, ext))
	}
	return err
}

// stamps verifies the stamps of a bundle.
func (b *book) stamps() error {
	for n := 1; b.files[bundle.Name("stamp", n, "tsr")] != nil; n++ {
		name := bundle.Name("stamp", n, "pem")
		file, err := b.file("stamp", n, "pem")
		if err != nil {
			return &FileError{name, err}
		}
		der, plain := bundle.DER("CERTIFICATE", file)
		if !plain {
			return &FileError{name, errors.New("not one certificate in its plain form")}
		}
		anchor, err := x509.ParseCertificate(der)
		if err != nil {
			return &FileError{name, err}
		}
		answer, _ := b.file("stamp", n, "tsr") // it is there
		signer, at, err := stamp.Read(answer, anchor, bundle.Imprint(b.files))
		if err != nil {
			return &FileError{bundle.Name("stamp", n, "tsr"), err}
		}
		b.report.Stamps = append(b.report.Stamps, Stamp{signer, anchor, at})
	}
	return nil
}
