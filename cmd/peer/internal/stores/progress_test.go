package stores

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sinete/cmd/peer/internal/terminal"
	"sinete/internal/trialpki"
)

func TestProgress(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration
		want  string
	}{
		"what is soon done":  {900 * time.Millisecond, ""},
		"what takes long":    {2500 * time.Millisecond, "\rlooking, 1 s\rlooking, 2 s\r4 MiB, 2 s  \n"},
		"as long as is said": {time.Second, "\rlooking, 1 s\r4 MiB, 1 s  \n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out strings.Builder
				for _, there := range []bool{false, true} {
					p := begin(&terminal.Terminal{Stderr: &out, Errors: there}, "looking")
					time.Sleep(c.takes)
					synctest.Wait()
					p.counts("%d MiB", 1<<20)
					p.add(4<<20 + 5)
					p.end()
					p.end()
					time.Sleep(time.Minute)
					if !there && out.Len() > 0 {
						t.Errorf("nobody sits there, and is told %q", out.String())
					}
				}
				if out.String() != c.want {
					t.Errorf("%q, not %q", out.String(), c.want)
				}
			})
		})
	}
}

// Each command that may take long says how far it is, before it shows anything, and beside the answers.
func TestProgressOfCommands(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	before := patience
	t.Cleanup(func() { patience = before })
	patience = 0
	dir, there, hierarchy := t.TempDir(), t.TempDir(), t.TempDir()
	fill(t, dir, ana)
	if _, err := trialpki.Create(hierarchy, trialpki.Options{}); err != nil {
		t.Fatal(err)
	}
	trust := filepath.Join(hierarchy, "trust")
	export, secret := filepath.Join(t.TempDir(), "export"), secretFile(t, "of the export")
	unlike := filepath.Join(t.TempDir(), "evidence.zip")
	if err := os.WriteFile(unlike, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	const opened = "opening the store"
	for _, c := range []struct {
		name string
		run  func(t *terminal.Terminal) int
		want []string
	}{
		{"evidence export", (&ExportEvidence{kept: kept{Store: Given(dir)}, With: "Rui", File: filepath.Join(dir, "x"), Trust: trust}).Run,
			[]string{opened, "0 parts of what proves them read"}},
		{"evidence verify", (&VerifyEvidence{File: unlike}).Run, []string{"verifying"}},
		{"store check", (&Check{folder: folder{dir}}).Run, []string{opened, "3 messages read"}},
		{"store check, with what proves", (&Check{folder: folder{dir}, Trust: trust}).Run, []string{opened, "0 parts of what proves them read"}},
		{"store export", (&Export{folder: folder{dir}, File: export, ExportPassphrase: secret}).Run, []string{opened, "exporting: 0 MiB written"}},
		{"store import", (&Import{folder: folder{there}, File: export, ExportPassphrase: secret, StoreKey: "nothing"}).Run, []string{"importing: 0 MiB read"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sits()
			s.Errors = true
			c.run(&s.Terminal)
			for _, want := range c.want {
				line, rest, _ := strings.Cut(s.err.String(), "\n")
				s.err.Reset()
				s.err.WriteString(rest)
				last := line[strings.LastIndex(line, "\r")+1:]
				if what, seconds, _ := strings.Cut(last, ", "); what != want || !strings.HasSuffix(strings.TrimRight(seconds, " "), " s") {
					t.Errorf("%q, not %q", line, want)
				}
			}
			if strings.Contains(s.err.String(), "\r") || strings.Contains(s.out.String(), "\r") {
				t.Errorf("and %q, %q", s.err.String(), s.out.String())
			}
		})
	}
}
