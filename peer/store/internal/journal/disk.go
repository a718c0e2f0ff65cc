package journal

import (
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Disk is where a journal's files are: a folder, by Dir. Tests have others, which fail when they are told to.
type Disk interface {
	Open(name string) (File, error) // for reading and writing; made if there is none
	Rename(from, to string) error
	Remove(name string) error
	Sync() error // of the names
}

// File is what a journal needs of a file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error
}

// Dir is the folder at path, which must be there.
func Dir(path string) Disk { return dir(path) }

type dir string

func (d dir) Open(name string) (File, error) {
	f, err := os.OpenFile(filepath.Join(string(d), name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	return file{f}, nil
}

func (d dir) Rename(from, to string) error {
	return os.Rename(filepath.Join(string(d), from), filepath.Join(string(d), to))
}

func (d dir) Remove(name string) error { return os.Remove(filepath.Join(string(d), name)) }

func (d dir) Sync() error {
	if runtime.GOOS == "windows" {
		return nil // It knows no such thing.
	}
	f, err := os.Open(string(d))
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

type file struct{ *os.File }

func (f file) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
