package stores

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"sinete/cardauth"
	"sinete/cardauth/fork"
	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/settings"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer/evidence"
	"sinete/peer/evidence/export"
	"sinete/peer/store"
)

// Evidence is peer evidence.
type Evidence struct {
	Export ExportEvidence `cmd:"" help:"Write a file that proves messages to somebody who was not there."`
	Verify VerifyEvidence `cmd:"" help:"Verify such a file."`
}

// ExportEvidence is peer evidence export and its flags.
type ExportEvidence struct {
	File     string  `arg:"" help:"The file to write."`
	With     Given   `required:"" placeholder:"NAME" help:"With whom: a name, or an identity."`
	Messages []Range `name:"message" placeholder:"WHICH" xor:"which" required:"" help:"Only these, by the numbers that peer history shows: sent:3, received:5 or sent:5-9. More with a comma, or the flag again."`
	All      bool    `xor:"which" required:"" help:"All messages with this person: this or --message."`
	Force    bool    `help:"Write over a file that is there."`
	kept
	Trust string `placeholder:"DIR" help:"As in peer chat: what proves the messages leads to the authorities there. Default: sinete/trust in your configuration folder."`

	Timestamp      string `placeholder:"URL" and:"stamp" help:"Have a time-stamping authority (RFC 3161) state that all of it was there by now. It learns a hash, and nothing else."`
	TimestampTrust string `placeholder:"DIR" and:"stamp" help:"A folder with the certificates to which that authority's must lead."`
}

// Help is what peer evidence export --help shows below its first line.
func (*ExportEvidence) Help() string { return aboutEvidence }

// Range is messages of one author.
type Range struct{ export.Range }

// UnmarshalText reads sent:3, received:5 or sent:5-9.
func (r *Range) UnmarshalText(b []byte) (err error) {
	r.Range, err = export.ParseRange(string(b))
	return err
}

func (c *ExportEvidence) Run(t *terminal.Terminal) int {
	return c.with(t, string(c.Store), func(ctx context.Context, s *store.Store, out screen.Screen) error {
		_, policy, err := settings.LoadTrust(c.Trust)
		if err != nil {
			return err
		}
		who, err := Contact(s, string(c.With))
		if err != nil {
			return err
		}
		want := export.Wanted{With: who.Identity}
		for _, r := range c.Messages {
			want.Messages = append(want.Messages, r.Range)
		}
		if c.Timestamp != "" {
			_, stamps, err := settings.LoadTrust(c.TimestampTrust)
			if err != nil {
				return err
			}
			want.Stamp = &export.Authority{URL: c.Timestamp, Anchors: stamps.Anchors}
		}
		p := begin(t, "")
		defer p.end()
		x, err := makeEvidence(ctx, &source{s, p}, policy, want, c.File, c.Force)
		if err == nil {
			p.end()
			showEvidence(x, c.File, out)
		}
		return err
	})
}

// WriteEvidence exports evidence into a file that is not there yet, and shows what it proves and what it does not.
func WriteEvidence(ctx context.Context, s *store.Store, policy *cardauth.Policy, want export.Wanted, file string, out screen.Screen) error {
	x, err := makeEvidence(ctx, s, policy, want, file, false)
	if err == nil {
		showEvidence(x, file, out)
	}
	return err
}

func makeEvidence(ctx context.Context, s export.Source, policy *cardauth.Policy, want export.Wanted, file string, over bool) (*export.Exported, error) {
	if _, err := os.Lstat(file); err == nil && !over {
		return nil, trouble.EvidenceFile(&fs.PathError{Op: "write", Path: file, Err: fs.ErrExist})
	}
	x, err := export.Export(ctx, s, policy, want)
	if err == nil {
		err = writeEvidence(file, over, x.Bundle)
	}
	return x, err
}

func showEvidence(x *export.Exported, file string, out screen.Screen) {
	for i, u := range x.Left {
		if i == 10 {
			out.Show(screen.Warning{Code: "evidence-missing", Text: moreMissing(len(x.Left) - i)})
			break
		}
		out.Show(screen.Warning{Code: "evidence-missing", Text: missing(&u)})
	}
	out.Show(screen.EvidenceOf(file, "written", x.Report))
}

// writeEvidence writes a file whole or not at all. What was there before is there until then.
func writeEvidence(path string, over bool, b []byte) error {
	fresh := path
	if over {
		fresh += ".new"
		if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return trouble.EvidenceFile(err)
		}
	}
	err := writeNew(fresh, trouble.EvidenceFile, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
	if err != nil || !over {
		return err
	}
	if err := os.Rename(fresh, path); err != nil {
		os.Remove(fresh)
		return trouble.EvidenceFile(err)
	}
	return nil
}

// VerifyEvidence is peer evidence verify and its flags.
type VerifyEvidence struct {
	File  string `arg:"" help:"The file that peer evidence export has written, or a proof of a fork."`
	Trust string `placeholder:"DIR" help:"The authorities that everybody's card must come from, as in peer chat. Default: sinete/trust in your configuration folder, where it is there."`
	JSON  bool   `name:"json" help:"One JSON object a line instead of text."`
}

// Help is what peer evidence verify --help shows below its first line.
func (*VerifyEvidence) Help() string { return aboutVerifying }

func (c *VerifyEvidence) Run(t *terminal.Terminal) int {
	return run(t, c.JSON, func(ctx context.Context, out screen.Screen) error {
		b, err := readEvidence(c.File)
		if err != nil {
			return trouble.EvidenceFile(err)
		}
		_, policy, err := settings.LoadTrust(c.Trust)
		if fork.Is(b) {
			if err == nil {
				err = verifyFork(c.File, b, policy, out)
			}
			return err
		}
		switch {
		case err == nil:
		case c.Trust == "" && trouble.Explain(err).Code == trustMissing:
			out.Show(screen.Warning{Code: trustMissing, Text: compareAnchors})
			policy = &cardauth.Policy{}
		default:
			return err
		}
		p := begin(t, verifyingFile)
		r, err := evidence.Verify(b, policy.Anchors)
		p.end()
		if err != nil {
			return err
		}
		for i := range r.Messages {
			if err := ctx.Err(); err != nil {
				return err
			}
			out.Show(screen.ProvedOf(r, &r.Messages[i]))
		}
		out.Show(screen.EvidenceOf(c.File, "verified", r))
		return nil
	})
}

// readEvidence reads no more than a bundle may have.
func readEvidence(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, evidence.MaxBundle+1))
}
