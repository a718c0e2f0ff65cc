// Package levels keeps who has which level in a text file that people may read and edit:
//
//	# who                        rank  compartments
//	BI123456789@0123456789abcdef 3     crypto ops    # a note
//
// One line gives one identity (protocol.md section 7.1) its rank and the compartments it is in. Open returns a Table whose Lookup
// follows the file while a relay runs; Set and Unset change a line and leave all others as they stand.
package levels

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sinete/wire"
)

// Entry is one identity and its level.
type Entry struct {
	Identity string
	Level    wire.Level
}

// SyntaxError says which line of a levels file cannot be understood.
type SyntaxError struct {
	Path   string
	Line   int // from 1
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s, line %d: %s", e.Path, e.Line, e.Reason) }

// UnknownIdentityError says that the file has no line for an identity.
type UnknownIdentityError struct{ Identity string }

func (e *UnknownIdentityError) Error() string { return e.Identity + " has no level of its own" }

// InvalidEntryError says that an entry cannot stand in a levels file.
type InvalidEntryError struct{ Reason string }

func (e *InvalidEntryError) Error() string { return e.Reason }

// identity is the form that section 7.1 gives: nothing in it can be taken for a comment or an end of a field.
var identity = regexp.MustCompile(`^(?:[!-"$&-?A-~]|%[0-9A-F]{2})+@[0-9a-f]{16}$`)

// ValidIdentity reports whether s has the form of an identity: a first part in printable ASCII with everything else as %XX, @,
// and 16 hexadecimal digits in lower case; at most wire.MaxIdentity bytes.
func ValidIdentity(s string) bool { return len(s) <= wire.MaxIdentity && identity.MatchString(s) }

// Read returns the entries of the file in its order. Errors are *SyntaxError or those of the file system.
func Read(path string) ([]Entry, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines, err := parse(path, b)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, l := range lines {
		if l.entry.Identity != "" {
			entries = append(entries, l.entry)
		}
	}
	return entries, nil
}

// Set gives e.Identity its level, in place of the one it had. The compartments may come in any order. A file that is missing
// begins with this entry. An entry that cannot be written is an *InvalidEntryError.
func Set(path string, e Entry) error {
	e.Level.Compartments = slices.Sorted(slices.Values(e.Level.Compartments))
	switch {
	case !ValidIdentity(e.Identity):
		return &InvalidEntryError{fmt.Sprintf("%q is no identity", e.Identity)}
	case !e.Level.Valid():
		return &InvalidEntryError{fmt.Sprintf("compartments are at most %d, each once, in 1 to %d of a-z, 0-9 and -",
			wire.MaxCompartments, wire.MaxCompartment)}
	}
	return edit(path, func(lines []line) ([]line, error) {
		i := find(lines, e.Identity)
		if i < 0 {
			return append(lines, line{entry: e, text: format(e, "")}), nil
		}
		lines[i].text = format(e, lines[i].note)
		return lines, nil
	})
}

// Unset removes the line of an identity, which then has the default level. There being none is an *UnknownIdentityError.
func Unset(path, identity string) error {
	return edit(path, func(lines []line) ([]line, error) {
		i := find(lines, identity)
		if i < 0 {
			return nil, &UnknownIdentityError{identity}
		}
		return slices.Delete(lines, i, i+1), nil
	})
}

// edit changes the file under its lock, so that of two changes made at once none is lost.
func edit(path string, change func([]line) ([]line, error)) error {
	unlock, err := lock(path)
	if err != nil {
		return err
	}
	defer unlock()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines, err := parse(path, b)
	if err != nil {
		return err
	}
	if lines, err = change(lines); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, l := range lines {
		out.WriteString(l.text + "\n")
	}
	return replace(path, out.Bytes())
}

// line is one line of the file as it stands, and what it says.
type line struct {
	text  string
	entry Entry  // Identity is empty where the line is a comment or blank
	note  string // from # to the end
}

func find(lines []line, identity string) int {
	return slices.IndexFunc(lines, func(l line) bool { return l.entry.Identity == identity && identity != "" })
}

func format(e Entry, note string) string {
	fields := append([]string{e.Identity, strconv.Itoa(int(e.Level.Rank))}, e.Level.Compartments...)
	if note != "" {
		fields = append(fields, note)
	}
	return strings.Join(fields, " ")
}

func parse(path string, b []byte) ([]line, error) {
	var lines []line
	seen := map[string]int{}
	for text := range strings.Lines(string(b)) {
		n := len(lines) + 1
		text = strings.TrimRight(text, "\r\n")
		l := line{text: text}
		said, note, found := strings.Cut(text, "#")
		if found {
			l.note = "#" + note
		}
		fields := strings.Fields(said)
		if len(fields) > 0 {
			e, reason := parseEntry(fields)
			if reason == "" && seen[e.Identity] > 0 {
				reason = fmt.Sprintf("%s has a level in line %d already", e.Identity, seen[e.Identity])
			}
			if reason != "" {
				return nil, &SyntaxError{path, n, reason}
			}
			l.entry = e
			seen[e.Identity] = n
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// parseEntry returns the entry, or the reason why it is none. What is quoted in a reason cannot reach beyond its line.
func parseEntry(fields []string) (e Entry, reason string) {
	if !ValidIdentity(fields[0]) {
		return e, fmt.Sprintf("%q is no identity", fields[0])
	}
	if len(fields) < 2 {
		return e, fields[0] + " has no rank"
	}
	rank, err := strconv.ParseUint(fields[1], 10, 16)
	if err != nil {
		return e, fmt.Sprintf("%q is no rank; ranks are 0 to 65535", fields[1])
	}
	e = Entry{fields[0], wire.Level{Rank: uint16(rank)}}
	if len(fields) > 2 {
		e.Level.Compartments = slices.Sorted(slices.Values(fields[2:]))
	}
	if !e.Level.Valid() {
		return e, fmt.Sprintf("%q are no compartments: at most %d, each once, in 1 to %d of a-z, 0-9 and -",
			fields[2:], wire.MaxCompartments, wire.MaxCompartment)
	}
	return e, ""
}
