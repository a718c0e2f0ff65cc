package cardtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// softHSMPaths are where distributions put the module.
var softHSMPaths = []string{
	"/usr/lib/softhsm/libsofthsm2.so",
	"/usr/lib64/pkcs11/libsofthsm2.so",
	"/usr/lib64/softhsm/libsofthsm2.so",
	"/usr/local/lib/softhsm/libsofthsm2.so",
	"/opt/homebrew/lib/softhsm/libsofthsm2.so",
}

// SoftHSM makes initialised, empty tokens with these labels and the user PIN, in a directory of their own, and points
// SoftHSM2 there. The module reads that once, when it is initialised, so this belongs into TestMain. remove deletes the
// directory.
func SoftHSM(pin string, labels ...string) (module string, remove func(), err error) {
	for _, p := range softHSMPaths {
		if _, err := os.Stat(p); err == nil {
			module = p
			break
		}
	}
	if module == "" {
		return "", nil, errors.New("SoftHSM2 is missing: install it with `apt-get install softhsm2`, `dnf install softhsm` or `brew install softhsm`")
	}
	dir, err := os.MkdirTemp("", "softhsm-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			remove()
		}
	}()
	conf := filepath.Join(dir, "softhsm2.conf")
	if err := os.WriteFile(conf, []byte("directories.tokendir = "+dir+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600); err != nil {
		return "", nil, err
	}
	if err := os.Setenv("SOFTHSM2_CONF", conf); err != nil {
		return "", nil, err
	}
	for _, l := range labels {
		out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", l, "--so-pin", "11223344", "--pin", pin).CombinedOutput()
		if err != nil {
			return "", nil, fmt.Errorf("softhsm2-util (of the package softhsm2): %w: %s", err, out)
		}
	}
	return module, remove, nil
}
