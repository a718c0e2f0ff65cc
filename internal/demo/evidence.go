package main

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// proveMessages has Alice make evidence of what she and Bruno said, and verifies it twice: with peer, and as somebody who has openssl, sha256sum,
// a shell and the root's certificate, and nothing else.
func proveMessages(w *world) error {
	file, trust := filepath.Join(w.dir, "evidence.zip"), filepath.Join(w.dir, "trust")
	if _, err := run(w.path("peer"), "evidence", "export", "--store", w.store("alice"), "--with", "Bruno Araújo", "--all", "--trust", trust, file); err != nil {
		return err
	}
	out, err := run(w.path("peer"), "evidence", "verify", "--trust", trust, "--json", file)
	if err != nil {
		return err
	}
	if n := strings.Count(out, `"confirmed_at"`); n < 3 || !strings.Contains(out, `"state":"verified"`) {
		return fmt.Errorf("%w: %s", errJudged, out)
	}
	unpacked := filepath.Join(w.dir, "evidence")
	if err := unzip(file, unpacked); err != nil {
		return err
	}
	if out, err := judge(w, unpacked); err != nil || !strings.Contains(out, "\nVERIFIED\n") {
		return fmt.Errorf("%w: %w, %s", errJudged, err, out)
	}
	changed := filepath.Join(unpacked, "text-1.txt")
	text, err := os.ReadFile(changed)
	if err != nil {
		return err
	}
	text[0] ^= 1
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		return err
	}
	if out, err := judge(w, unpacked); err == nil || !strings.Contains(out, "REFUSED") {
		return fmt.Errorf("%w: of a changed text %s", errJudged, out)
	}
	return nil
}

// judge runs verify.sh with three programs and the root's certificate.
func judge(w *world, dir string) (string, error) {
	bin := filepath.Join(w.dir, "judge")
	if err := os.RemoveAll(bin); err != nil {
		return "", err
	}
	if err := os.Mkdir(bin, 0o700); err != nil {
		return "", err
	}
	for _, name := range []string{"openssl", "sha256sum", "sh"} {
		program, err := exec.LookPath(name)
		if err == nil {
			err = os.Symlink(program, filepath.Join(bin, name))
		}
		if err != nil {
			return "", err
		}
	}
	root, err := filepath.Abs(filepath.Join(w.dir, "trust", "root.pem"))
	if err != nil {
		return "", err
	}
	c := exec.Command(filepath.Join(bin, "sh"), "verify.sh", root)
	if c.Path, err = filepath.Abs(c.Path); err != nil {
		return "", err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return "", err
	}
	c.Dir, c.Env = dir, []string{"PATH=" + bin}
	out, err := c.CombinedOutput()
	return string(out), err
}

func unzip(file, dir string) (err error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	return os.CopyFS(dir, z)
}
