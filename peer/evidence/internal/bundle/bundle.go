// Package bundle is the files of a bundle of evidence: their names and forms, the manifest, and the zip that holds them (docs/evidence.md section 2).
// What they say is for others. Most readers need Pack and Unpack.
package bundle

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Files that stand once in a bundle.
const (
	Proof    = "proof.txt"
	Manifest = "manifest.txt"
	Script   = "verify.sh"
	Text     = "evidence.txt"
	Page     = "evidence.html"
)

// The first and the last line of a proof.
const (
	FirstLine = "sinete-evidence 1"
	LastLine  = "end"
)

const (
	// MaxSize is the largest bundle, in bytes.
	MaxSize = 256 << 20
	// MaxFiles is how many files it has at most.
	MaxFiles = 1<<16 - 1
)

var (
	// ErrTooMuch: it needs more files or bytes than a bundle may have.
	ErrTooMuch = fmt.Errorf("more than %d files or %d MiB", MaxFiles, MaxSize>>20)
	// ErrNone: it is no bundle, or not any more.
	ErrNone = errors.New("no bundle of evidence, or one that was cut off or changed")
)

// Derived reports whether a file follows from the others.
func Derived(name string) bool {
	return slices.Contains([]string{Manifest, Page, Script, Text}, name)
}

// Name is that of the file that belongs to thing n of a kind.
func Name(kind string, n int, ext string) string { return kind + "-" + strconv.Itoa(n) + "." + ext }

// PEM is a file of one block, in its plain form.
func PEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// DER is what a file holds in PEM, if it is in the plain form that PEM gives.
func DER(kind string, file []byte) (der []byte, plain bool) {
	block, _ := pem.Decode(file)
	if block == nil || !bytes.Equal(file, PEM(kind, block.Bytes)) {
		return nil, false
	}
	return block.Bytes, true
}

// ManifestOf lists all other files as sha256sum prints them.
func ManifestOf(files map[string][]byte) []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != Manifest {
			b = fmt.Appendf(b, "%x  %s\n", sha256.Sum256(files[name]), name)
		}
	}
	return b
}

// Imprint is what a stamp is over: the manifest's lines for all that the proof consists of. So neither a line nor a signature is younger than the stamp.
func Imprint(files map[string][]byte) [32]byte {
	covered := map[string][]byte{}
	for name, content := range files {
		if !Derived(name) && !strings.HasPrefix(name, "stamp-") {
			covered[name] = content
		}
	}
	return sha256.Sum256(ManifestOf(covered))
}

// Pack makes the zip, of which there is only one for the same files. The error is ErrTooMuch.
func Pack(files map[string][]byte) ([]byte, error) {
	size := 0
	for name, content := range files {
		size += len(content) + 2*len(name) + 100
	}
	if len(files) > MaxFiles || size > MaxSize {
		return nil, ErrTooMuch
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	w := zip.NewWriter(b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		content := files[name]
		h := &zip.FileHeader{Name: name, Method: zip.Store,
			CRC32: crc32.ChecksumIEEE(content), CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content))}
		//lint:ignore SA1019 CreateRaw reads nothing else; Modified would be for CreateHeader, which adds a field of its own.
		h.ModifiedDate = 1<<5 | 1 // 1980-01-01
		h.SetMode(0o644)
		f, err := w.CreateRaw(h)
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(content); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}

// Unpack finds the files of a bundle, which alias b. All that a zip says besides is left to whoever packs the files again.
// A reader of any zip would take as much memory as somebody wants. The error is ErrNone.
func Unpack(b []byte) (map[string][]byte, error) {
	const header = 30
	files := map[string][]byte{}
	for last := ""; len(b) >= header && string(b[:4]) == "PK\x03\x04"; {
		size, name := int64(binary.LittleEndian.Uint32(b[18:])), int(binary.LittleEndian.Uint16(b[26:]))
		if int64(len(b)) < header+int64(name)+size || len(files) == MaxFiles {
			return nil, ErrNone
		}
		n := string(b[header : header+name])
		if n <= last {
			return nil, ErrNone
		}
		b = b[header+name:]
		files[n], b, last = b[:size:size], b[size:], n
	}
	if len(files) == 0 {
		return nil, ErrNone
	}
	return files, nil
}
