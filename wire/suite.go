package wire

import (
	"fmt"
	"slices"
)

// Suite is a code of protocol.md section 3.1. Lower codes are stronger.
type Suite uint16

const (
	SuiteX25519MLKEM768AES256GCM Suite = 1 // the default
	SuiteX25519MLKEM768ChaCha20  Suite = 2
	SuiteX25519AES256GCM         Suite = 3
	SuiteX25519ChaCha20          Suite = 4
	SuiteP256AES128GCM           Suite = 5
)

var suiteNames = [...]string{"", "X25519MLKEM768-AES256GCM-SHA384", "X25519MLKEM768-CHACHA20POLY1305-SHA256",
	"X25519-AES256GCM-SHA256", "X25519-CHACHA20POLY1305-SHA256", "P256-AES128GCM-SHA256"}

func (s Suite) String() string {
	if s.Known() {
		return suiteNames[s]
	}
	return fmt.Sprintf("suite-%d", uint16(s))
}

// Known reports whether the suite stands in the table of section 3.1.
func (s Suite) Known() bool { return s >= 1 && int(s) < len(suiteNames) }

// WeakestSuite is the last one of the table.
const WeakestSuite = SuiteP256AES128GCM

// SuiteNames are the names of all suites of the table, best first.
func SuiteNames() []string { return slices.Clone(suiteNames[1:]) }

// ParseSuite finds a suite by its name.
func ParseSuite(name string) (Suite, bool) {
	i := slices.Index(suiteNames[1:], name)
	return Suite(i + 1), i >= 0
}

// BestSuite returns the strongest suite that both offer.
func BestSuite(a, b []Suite) (Suite, bool) {
	for _, s := range a { // ascending, so the strongest first
		if s.Known() && slices.Contains(b, s) {
			return s, true
		}
	}
	return 0, false
}

// AtLeast reports whether the suite is as strong as least or stronger; 0 asks for nothing.
func (s Suite) AtLeast(least Suite) bool { return least == 0 || s.Known() && s <= least }

// SuitesAtLeast leaves out those of suites that are weaker than least.
func SuitesAtLeast(suites []Suite, least Suite) []Suite {
	return slices.DeleteFunc(slices.Clone(suites), func(s Suite) bool { return !s.AtLeast(least) })
}

// Group is a key share group, by its TLS code point.
type Group uint16

const (
	GroupP256           Group = 0x0017
	GroupX25519         Group = 0x001d
	GroupX25519MLKEM768 Group = 0x11ec
)

func (r *reader) suites(low int) []Suite {
	n := r.count(low, MaxSuites)
	var s []Suite
	for range n {
		c := Suite(r.u16())
		if len(s) > 0 && c <= s[len(s)-1] {
			r.fail("suites not in ascending order")
			return nil
		}
		s = append(s, c)
	}
	return s
}

func appendSuites(b []byte, s []Suite) []byte {
	b = append(b, byte(len(s)))
	for _, c := range s {
		b = append(b, byte(c>>8), byte(c))
	}
	return b
}
