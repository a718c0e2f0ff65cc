package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestNumbersAreThoseOfTheProtocol reads the tables of docs/protocol.md.
func TestNumbersAreThoseOfTheProtocol(t *testing.T) {
	row := regexp.MustCompile("(?m)^\\| ([0-9a-f]+) \\| `([^`]+)`")
	for _, table := range []struct {
		heading string
		base    int
		rows    int
		word    func(n uint64) string
	}{
		{"## 11. Errors", 10, len(codeNames), func(n uint64) string { return Code(n).String() }},
		{"### 2.3 Frames", 16, len(frameNames) - 1, func(n uint64) string { return FrameType(n).String() }},
		{"### 3.1 Suites", 16, len(suiteNames) - 1, func(n uint64) string { return Suite(n).String() }},
		{"### 3.2 Kinds", 10, len(kindNames) - 1, func(n uint64) string { return Kind(n).String() }},
	} {
		rows := row.FindAllStringSubmatch(section(t, table.heading), -1)
		if len(rows) != table.rows {
			t.Errorf("%s: the protocol has %d rows, this package %d names", table.heading, len(rows), table.rows)
		}
		for _, m := range rows {
			n, err := strconv.ParseUint(m[1], table.base, 16)
			if got := table.word(n); err != nil || got != m[2] {
				t.Errorf("%s: %s is %s here and %s in the protocol", table.heading, m[1], got, m[2])
			}
		}
	}
}

func TestSchemesAreThoseOfTheProtocol(t *testing.T) {
	named := regexp.MustCompile(`([a-z0-9_]+) \(([0-9a-f]{4})\)`).FindAllStringSubmatch(section(t, "### 3.8 Chains"), -1)
	for _, m := range named {
		n, err := strconv.ParseUint(m[2], 16, 16)
		if got := Scheme(n).String(); err != nil || got != m[1] {
			t.Errorf("%s is %s here and %s in the protocol", m[2], got, m[1])
		}
	}
	if len(named) != 5 {
		t.Errorf("the protocol names %d schemes, want 5", len(named))
	}
}

// section is the text of a section of docs/protocol.md, without its subsections.
func section(t *testing.T, heading string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, s, _ := strings.Cut(string(text), "\n"+heading)
	s, _, _ = strings.Cut(s, "\n#")
	return s
}

func TestCodeOf(t *testing.T) {
	inner := Errorf(CodeIntegrity, "a transcript: %w", io.ErrUnexpectedEOF)
	for _, c := range []struct {
		err  error
		want Code
	}{
		{inner, CodeIntegrity},
		{fmt.Errorf("lane 4: %w", inner), CodeIntegrity},
		{Errorf(CodeTimeout, "%w", inner), CodeTimeout},
		{fmt.Errorf("read: %w", &MalformedError{"head", "too short"}), CodeMalformed},
		{io.EOF, CodeInternal},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%v has code %v, want %v", c.err, got, c.want)
		}
	}
	if !errors.Is(inner, io.ErrUnexpectedEOF) {
		t.Error("the reason is lost")
	}
}

func TestBestSuite(t *testing.T) {
	for _, c := range []struct {
		a, b []Suite
		want Suite
	}{
		{[]Suite{1, 3, 5}, []Suite{3, 5}, 3},
		{[]Suite{3, 5}, []Suite{1, 3, 5}, 3},
		{[]Suite{0, 4, 9}, []Suite{0, 4, 9}, 4},
		{[]Suite{0x7a7a}, []Suite{0x7a7a}, 0},
		{[]Suite{1}, []Suite{2}, 0},
	} {
		if got, ok := BestSuite(c.a, c.b); got != c.want || ok != (c.want != 0) {
			t.Errorf("of %v and %v: %v, %v, want %v", c.a, c.b, got, ok, c.want)
		}
	}
}

func TestSuiteNames(t *testing.T) {
	for s := SuiteX25519MLKEM768AES256GCM; s <= SuiteP256AES128GCM; s++ {
		if got, ok := ParseSuite(s.String()); got != s || !ok {
			t.Errorf("%v reads as %v, %v", s, got, ok)
		}
	}
	for _, name := range []string{"", "suite-9", "x25519-aes256gcm-sha256"} {
		if s, ok := ParseSuite(name); ok {
			t.Errorf("%q reads as %v", name, s)
		}
	}
}

func TestSmallerLimits(t *testing.T) {
	a, b := RekeyLimits{10, 900}, RekeyLimits{20, 60}
	if got, want := a.Smaller(b), (RekeyLimits{10, 60}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLevel(t *testing.T) {
	if got, want := secret.String(), "3{crypto,ops-7}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (Level{Rank: 3}).String(); got != "3" {
		t.Errorf("got %s, want 3", got)
	}
	for _, other := range []Level{{3, nil}, {4, secret.Compartments}, {3, []string{"crypto"}}} {
		if secret.Equal(other) {
			t.Errorf("%v equals %v", secret, other)
		}
	}
	if !secret.Equal(Level{3, []string{"crypto", "ops-7"}}) || !(Level{}).Equal(Level{Compartments: []string{}}) {
		t.Error("a level does not equal itself")
	}
	if !secret.Valid() || (Level{1, make([]string, MaxCompartments+1)}).Valid() {
		t.Error("Valid is not what can be encoded")
	}
}

func TestDelegationAllows(t *testing.T) {
	d := Delegation{Purposes: 1 << PurposeHead}
	for p := PurposeInitiator; p <= PurposeDelegation; p++ {
		if got := d.Allows(p); got != (p == PurposeHead) {
			t.Errorf("purpose %d: %v", p, got)
		}
	}
}

func TestRolesAndDirections(t *testing.T) {
	if RoleInitiator.Other() != RoleResponder || RoleResponder.Other() != RoleInitiator {
		t.Error("the other of a role is not the other")
	}
	if RoleInitiator.Sends() != 1 || RoleResponder.Sends() != 2 {
		t.Error("directions are not numbered as in section 2.4")
	}
}

// TestAppendRefusesWhatItCannotEncode: a caller's mistake must not become bytes that mean something else.
func TestAppendRefusesWhatItCannotEncode(t *testing.T) {
	for what, encode := range map[string]func(){
		"a varint of 2^62":            func() { AppendVarint(nil, 1<<62) },
		"an opaque8 of 256":           func() { HopContext{Relay: string(make([]byte, 256))}.Append(nil) },
		"an opaque16 of 65,536":       func() { (&Accept{Parameters: make([]byte, 1<<16)}).Append(nil) },
		"256 texts":                   func() { (&Header{Type: EnvelopeTexts, Commitments: make([][32]byte, 256)}).Append(nil) },
		"a path that fits no leaves":  func() { Seal{Leaves: 4}.Append(nil) },
		"a frame body beyond a frame": func() { AppendFrameHeader(nil, FrameEnvelope, MaxFrameBody+1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s was encoded", what)
				}
			}()
			encode()
		}()
	}
}
