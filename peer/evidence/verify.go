package evidence

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Verify says what a bundle proves (docs/evidence.md). Where anchors are given, everybody's certificates must lead to one of them; where none are, whoever
// asks must compare those of the report. A bundle is at most MaxBundle bytes. The error is a *LineError, *FileError or *AnchorError: then it proves nothing.
func Verify(bundle []byte, anchors []*x509.Certificate) (*Report, error) {
	if len(bundle) > MaxBundle {
		return nil, &FileError{"", ErrTooMuch}
	}
	files, err := unpack(bundle)
	if err != nil {
		return nil, &FileError{"", err}
	}
	if !bytes.Equal(files[manifestFile], manifest(files)) {
		return nil, &FileError{manifestFile, errors.New("not what the files are: one of them, or the manifest, was changed")}
	}
	if !bytes.Equal(files[scriptFile], script) {
		return nil, &FileError{scriptFile, errors.New("not that of this version")}
	}
	r, err := read(files)
	if err != nil {
		return nil, err
	}
	again := map[string][]byte{}
	for name := range files {
		if !slices.Contains(derived, name) {
			again[name] = files[name]
		}
	}
	derive(again, r)
	for _, name := range slices.Sorted(maps.Keys(again)) {
		if !bytes.Equal(files[name], again[name]) {
			return nil, &FileError{name, errors.New("not what the proof makes it")}
		}
	}
	if packed, err := pack(again); err != nil || !bytes.Equal(packed, bundle) {
		return nil, &FileError{"", errNoBundle}
	}
	return r, trusted(r, anchors)
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

// derived are the files that follow from the others.
var derived = []string{manifestFile, pageFile, scriptFile, textFile}

// derive adds them.
func derive(files map[string][]byte, r *Report) {
	files[scriptFile] = script
	files[textFile], files[pageFile] = summarize(r)
	files[manifestFile] = manifest(files)
}

// read verifies proof.txt and the files that its lines name, which must be all that are there but for the derived ones.
func read(files map[string][]byte) (*Report, error) {
	b := &book{files: files, used: map[string]bool{proofFile: true}, leaves: map[*x509.Certificate]bool{}, report: &Report{}}
	if err := eachLine(files[proofFile], b.line); err != nil {
		return nil, err
	}
	if err := b.over(); err != nil {
		return nil, &FileError{proofFile, err}
	}
	if err := b.stamps(); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !b.used[name] && !slices.Contains(derived, name) {
			return nil, &FileError{name, errors.New("nothing of the proof names it")}
		}
	}
	return b.report, nil
}

// file is one that a line names, and nothing else.
func (b *book) file(kind string, n int, ext string) ([]byte, error) {
	name := fileOf(kind, n, ext)
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
		err = fmt.Errorf("%s is not what it must be", fileOf(kind, n, ext))
	}
	return err
}

// derOf is what a file holds in PEM, if it is in the plain form that pemOf gives.
func derOf(kind string, file []byte) (der []byte, plain bool) {
	block, _ := pem.Decode(file)
	if block == nil || !bytes.Equal(file, pemOf(kind, block.Bytes)) {
		return nil, false
	}
	return block.Bytes, true
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
