package evidence

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
)

const (
	proofFile    = "proof.txt"
	manifestFile = "manifest.txt"

	// MaxBundle is the largest bundle that is made or read, in bytes.
	MaxBundle = 256 << 20
	maxFiles  = 1<<16 - 1
)

// manifest lists all other files as sha256sum prints them.
func manifest(files map[string][]byte) []byte {
	var b []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name != manifestFile {
			b = fmt.Appendf(b, "%x  %s\n", sha256.Sum256(files[name]), name)
		}
	}
	return b
}

// pack makes the zip, of which there is only one for the same files.
func pack(files map[string][]byte) ([]byte, error) {
	size := 0
	for name, content := range files {
		size += len(content) + 2*len(name) + 100
	}
	if len(files) > maxFiles || size > MaxBundle {
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

var errNoBundle = errors.New("no bundle of evidence, or one that was cut off or changed")

// unpack finds the files of a bundle, which alias b. All that a zip says besides is left to whoever packs the files again.
// A reader of any zip would take as much memory as somebody wants.
func unpack(b []byte) (map[string][]byte, error) {
	const header = 30
	files := map[string][]byte{}
	for last := ""; len(b) >= header && string(b[:4]) == "PK\x03\x04"; {
		size, name := int64(binary.LittleEndian.Uint32(b[18:])), int(binary.LittleEndian.Uint16(b[26:]))
		if int64(len(b)) < header+int64(name)+size || len(files) == maxFiles {
			return nil, errNoBundle
		}
		n := string(b[header : header+name])
		if n <= last {
			return nil, errNoBundle
		}
		b = b[header+name:]
		files[n], b, last = b[:size:size], b[size:], n
	}
	if len(files) == 0 {
		return nil, errNoBundle
	}
	return files, nil
}
