package main

import (
	"log/slog"
	"path/filepath"
	"testing"

	"sinete/relay/audit"
)

// A second relay with the same configuration has a log of its own, and one that starts after them goes on in the first.
func TestAuditLogsBesideEachOther(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	open := func() *audit.Log {
		t.Helper()
		l, err := openAudit(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	close := func(l *audit.Log) {
		t.Helper()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	first, second := open(), open()
	if _, err := audit.Read(dir + "-2"); err != nil {
		t.Errorf("the second relay's log: %v", err)
	}
	close(first)
	third := open()
	if _, err := audit.Read(dir + "-3"); err == nil {
		t.Error("the third did not go on in the first's")
	}
	close(second)
	close(third)
}
