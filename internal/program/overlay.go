package program

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Change has a program built with another word in one place than is written there.
type Change struct{ File, Old, New string }

// Overlay writes into dir what go build -overlay wants: the tree at root with these changes, and with files added to it (from where they
// are, by where they shall be). So nothing that only tests want stands in the programs themselves. Each Old must stand in its file exactly
// once, with the changes before it made.
func Overlay(dir, root string, changes []Change, added map[string]string) (file string, err error) {
	replace := map[string]string{}
	for _, c := range changes {
		path := filepath.Join(root, c.File)
		from := path
		if replace[path] != "" {
			from = replace[path]
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if strings.Count(string(text), c.Old) != 1 {
			return "", fmt.Errorf("%s does not say %q exactly once: whoever changes it for a test must be told where that is now", c.File, c.Old)
		}
		replace[path] = filepath.Join(dir, strings.ReplaceAll(c.File, "/", "_"))
		if err := os.WriteFile(replace[path], []byte(strings.Replace(string(text), c.Old, c.New, 1)), 0o600); err != nil {
			return "", err
		}
	}
	for to, from := range added {
		replace[filepath.Join(root, to)] = from
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}
