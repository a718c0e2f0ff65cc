package stores

import (
	"context"
	"errors"
	"io"
	"os"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/store"
)

// Export is peer store export and its flags.
type Export struct {
	folder
	File string `arg:"" help:"The file to write, which must not be there yet."`
	existing
	ExportPassphrase string `placeholder:"SOURCE" help:"Where the passphrase of the file is: file:PATH or env:NAME. Without it you are asked, on a terminal only."`
}

func (c *Export) Run(t *terminal.Terminal) int {
	return c.with(t, c.Dir, func(ctx context.Context, s *store.Store, out screen.Screen) error {
		p := passphrase{terminal: t, source: c.ExportPassphrase}
		secret, err := p.choose(ctx, aboutExport)
		if err != nil {
			return err
		}
		progress := begin(t, "")
		progress.counts(exportingStore, 1<<20)
		err = writeNew(c.File, trouble.ExportUnusable, func(w io.Writer) error {
			return s.Export(&countedFile{Writer: w, progress: progress}, secret)
		})
		progress.end()
		if err != nil {
			return err
		}
		out.Show(screen.Done{Command: "store export", Text: exported(c.File)})
		return nil
	})
}

// writeNew writes a file that is not there before, and is not afterwards where it could not be written whole.
func writeNew(path string, unusable func(error) error, write func(w io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return unusable(err)
	}
	err = write(&written{f, unusable})
	if err == nil {
		err = unusableIf(f.Sync(), unusable)
	}
	if closed := f.Close(); err == nil {
		err = unusableIf(closed, unusable)
	}
	if err != nil {
		os.Remove(path)
	}
	return err
}

// written is a file whose errors say which file it is.
type written struct {
	io.Writer
	unusable func(error) error
}

func (w *written) Write(b []byte) (int, error) {
	n, err := w.Writer.Write(b)
	return n, unusableIf(err, w.unusable)
}

func unusableIf(err error, unusable func(error) error) error {
	if err == nil {
		return nil
	}
	return unusable(err)
}

// Import is peer store import and its flags.
type Import struct {
	folder
	File             string `arg:"" help:"The file that peer store export has written."`
	Passphrase       string `placeholder:"SOURCE" help:"Where the passphrase of the store is: file:PATH or env:NAME. Without it you are asked, on a terminal only."`
	ExportPassphrase string `placeholder:"SOURCE" help:"Where that of the file is, likewise."`
	StoreKey         string `enum:"auto,passphrase,keyring,nothing" default:"auto" help:"What protects a new store, as in peer chat. Default: ${default}."`
	JSON             bool   `name:"json" help:"One JSON object a line instead of text."`
}

func (c *Import) Run(t *terminal.Terminal) int {
	return run(t, c.JSON, func(ctx context.Context, out screen.Screen) (err error) {
		f, err := os.Open(c.File)
		if err != nil {
			return trouble.ExportUnusable(err)
		}
		defer f.Close()
		var owner store.Owner
		var secret []byte
		p := passphrase{terminal: t, source: c.ExportPassphrase, ask: askExport}
		err = p.for3(ctx, store.ByPassphrase, func(given []byte) (err error) { // before a store is made for what cannot be read
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
			secret = given
			owner, err = store.OwnerOfExport(f, secret)
			if err != nil && !errors.Is(err, store.ErrPassphraseWrong) {
				err = trouble.ExportUnusable(err)
			}
			return err
		})
		if errors.Is(err, store.ErrPassphraseWrong) {
			err = trouble.ExportPassphraseWrong()
		}
		if err != nil {
			return err
		}
		into := Flags{Store: Given(c.Dir), Passphrase: c.Passphrase, StoreKey: c.StoreKey}
		s, err := into.Open(ctx, t, out, owner)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		progress := begin(t, "")
		progress.counts(importingStore, 1<<20)
		n, err := s.Import(&countedFile{Reader: f, progress: progress}, secret)
		progress.end()
		if e, ok := trouble.AsError[*store.FormatError](err); ok {
			err = trouble.ExportUnusable(e.Err) // no store.json is wrong
		}
		if err == nil {
			out.Show(screen.Done{Command: "store import", Messages: n, Text: imported(n)})
		}
		return err
	})
}
