package vault

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/zalando/go-keyring"
	ss "github.com/zalando/go-keyring/secret_service"

	"sinete/peer/store/internal/journal/journaltest"
)

// TestKeyring keeps keys in a real Secret Service, gnome-keyring on a session bus of its own.
func TestKeyring(t *testing.T) {
	if !journaltest.Inner() {
		home, err := os.MkdirTemp("", "k") // short: sockets lie in it
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(home)
		cmd := journaltest.Again(t, "dbus-run-session", "--")
		cmd.Env = append(cmd.Env, "HOME="+home, "XDG_RUNTIME_DIR="+home, "XDG_DATA_HOME="+home)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	daemon := exec.Command("gnome-keyring-daemon", "--unlock", "--components=secrets")
	daemon.Stdin = strings.NewReader("the login's password")
	if out, err := daemon.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}

	dir, key := create(t, Protection{Kind: ByKeyring})
	wantKey(t, dir, ByKeyring, "", key)
	first := opened(t, dir)
	wantEntries(t, first.doc.Key.Entry)
	if b, err := os.ReadFile(filepath.Join(dir, fileName)); err != nil || bytes.Contains(b, octetsOf(key)) {
		t.Errorf("%s, %v", b, err)
	}

	v := opened(t, dir)
	if err := v.Change(nil, Protection{Kind: ByKeyring}); err != nil {
		t.Fatal(err)
	}
	wantKey(t, dir, ByKeyring, "", key)
	wantEntries(t, v.doc.Key.Entry)
	if _, err := first.Key(nil); !errors.Is(err, keyring.ErrNotFound) {
		t.Errorf("the old entry: %v", err)
	}

	other, otherKey := create(t, Protection{Kind: ByKeyring})
	o := opened(t, other)
	wantEntries(t, v.doc.Key.Entry, o.doc.Key.Entry)
	if key == otherKey {
		t.Error("two stores have one key")
	}
	var failed *KeyringError
	for _, wrong := range []string{strings.Repeat("00", 32), "no key", ""} {
		if err := keyring.Set(service, o.doc.Key.Entry, wrong); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Key(nil); !errors.As(err, &failed) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	if err := keyring.Delete(service, o.doc.Key.Entry); err != nil {
		t.Fatal(err)
	}

	// Where the file cannot be replaced the old entry stays, and the new one goes.
	if err := os.Mkdir(filepath.Join(dir, newFileName), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := v.Change(nil, Protection{Kind: ByKeyring}); err == nil {
		t.Error("replaced")
	}
	wantEntries(t, v.doc.Key.Entry)
	wantKey(t, dir, ByKeyring, "", key)
	if err := os.Remove(filepath.Join(dir, newFileName)); err != nil {
		t.Fatal(err)
	}

	if err := v.Change(nil, Protection{ByPassphrase, []byte("open sesame")}); err != nil {
		t.Fatal(err)
	}
	wantKey(t, dir, ByPassphrase, "open sesame", key)
	wantEntries(t)
}

// wantEntries compares the entries of all stores with these.
func wantEntries(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := keyring.Get(service, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := ss.NewSecretService()
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.SearchItems(s.GetLoginCollection(), map[string]string{"service": service})
	if err != nil || len(found) != len(names) {
		t.Errorf("%d entries, want %d; %v", len(found), len(names), err)
	}
}

func TestNoKeyring(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "nothing"))
	dir := t.TempDir()
	var failed *KeyringError
	if _, err := Create(dir, ana, Protection{Kind: ByKeyring}); !errors.As(err, &failed) {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
}
