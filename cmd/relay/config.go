package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/BurntSushi/toml"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/relay/flow"
	"sinete/relay/levels"
	"sinete/wire"
)

// settings are the keys of relay.toml as written. Every key has a default, and paths are relative to the file's folder.
type settings struct {
	Listen          string   `toml:"listen"`
	Name            string   `toml:"name"`
	Certificate     string   `toml:"certificate"`
	Key             string   `toml:"key"`
	Trust           string   `toml:"trust"`
	Levels          string   `toml:"levels"`
	DefaultLevel    uint16   `toml:"default_level"`
	Unknown         string   `toml:"unknown_identities"`
	Policy          string   `toml:"policy"`
	LabelsBelow     []string `toml:"labels_below"`
	Visibility      string   `toml:"visibility"`
	Audit           string   `toml:"audit"`
	AuditFailure    string   `toml:"audit_failure"`
	Revocation      string   `toml:"revocation"`
	RevocationGrace string   `toml:"revocation_grace"`
	Recheck         string   `toml:"revocation_recheck"`
	Cache           string   `toml:"revocation_cache"`
	Networks        []string `toml:"revocation_networks"`
	RequireSigning  string   `toml:"require_signing"`
	MinSuite        string   `toml:"min_suite"`
	Grace           string   `toml:"delegation_grace"`
	RekeyAfter      string   `toml:"rekey_after"`
	RekeyMessages   uint64   `toml:"rekey_messages"`
	MaxSessions     int      `toml:"max_sessions"`
	Log             string   `toml:"log"`
}

func defaults() settings {
	return settings{
		Listen: "127.0.0.1:7443", Certificate: "relay.pem", Key: "relay.key", Trust: "trust", Levels: "levels",
		Unknown: "admit", Policy: flow.NoWriteUp.String(), Visibility: "everyone", Audit: "audit", AuditFailure: "refuse",
		Revocation: "hard", RevocationGrace: "24h", Recheck: "15m", Cache: "revocation", RequireSigning: "any", MinSuite: wire.WeakestSuite.String(), Grace: "10m",
		RekeyAfter: "15m", RekeyMessages: wire.DefaultRekeyCount, MaxSessions: 10_000, Log: "info",
	}
}

// SuiteNames are what min_suite may be, best first.
func (settings) SuiteNames() []string { return wire.SuiteNames() }

func keyNames() []string {
	var names []string
	for f := range reflect.TypeFor[settings]().Fields() {
		names = append(names, f.Tag.Get("toml"))
	}
	return names
}

// readSettings reads relay.toml, refuses keys it does not know, and makes its paths independent of the current folder.
func readSettings(file string) (settings, error) {
	s := defaults()
	b, err := os.ReadFile(file)
	if err != nil {
		return s, noConfig(file, err)
	}
	meta, err := toml.Decode(string(b), &s)
	if err != nil {
		return s, badConfig(file, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		var keys []string
		for _, k := range unknown {
			keys = append(keys, k.String())
		}
		return s, unknownKeys(file, keys)
	}
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return s, noConfig(file, err)
	}
	return s.in(folder), nil
}

// in has the paths that are relative begin in a folder.
func (s settings) in(folder string) settings {
	for _, p := range []*string{&s.Certificate, &s.Key, &s.Trust, &s.Levels, &s.Cache, &s.Audit} {
		if *p != "" && !filepath.IsAbs(*p) && !inHSM(*p) {
			*p = filepath.Join(folder, *p)
		}
	}
	return s
}

// Config is what relay.toml says, checked, with the files it names read, except for the levels, which change.
type Config struct {
	Listen         string // address and port, UDP
	Name           string // display name; peers mean one of the certificate's names
	Certificate    tls.Certificate
	Key            string              // path of its private key, or beside which to keep things where it is in an HSM
	Anchors        []*x509.Certificate // roots that people's chains must end in
	Authorities    []*x509.Certificate // the other certificates of the trust folder
	Levels         string              // path of the levels file
	DefaultLevel   wire.Level          // of everybody the levels file does not name
	KnownOnly      bool                // nobody else may log in
	Policy         flow.Policy
	LabelsBelow    []string           // identities that may label messages below their level
	Cleared        bool               // people see only those whose level theirs dominates
	Audit          string             // folder of the audit log; empty: none
	Unaudited      bool               // people may log in while it cannot be written
	Revocation     *revocation.Config // nil: off
	Recheck        time.Duration      // how long after a revocation a session ends at the latest
	RequireSigning string             // any, or card: no delegated keys (protocol.md section 4.5)
	MinSuite       wire.Suite
	Grace          time.Duration // how long after a lost connection a delegation may come back (section 7.6); 0: never
	Limits         wire.RekeyLimits
	MaxSessions    int
	LogLevel       slog.Level
}

// loadConfig reads and checks all that a relay runs on. now is the time that the certificate must be valid at.
func loadConfig(file string, now time.Time) (Config, error) {
	s, err := readSettings(file)
	if err != nil {
		return Config{}, err
	}
	return s.load(file, now)
}

// load is loadConfig for settings that were read, or will be written; source is where they stand, for errors.
func (s settings) load(source string, now time.Time) (c Config, err error) {
	c = Config{Listen: s.Listen, Name: s.Name, Key: s.keyPath(), Levels: s.Levels, DefaultLevel: wire.Level{Rank: s.DefaultLevel},
		RequireSigning: s.RequireSigning, MaxSessions: s.MaxSessions}
	if err := checkAddress(s.Listen); err != nil {
		return c, badListen(source, s.Listen)
	}
	if c.Policy, err = flow.ParsePolicy(s.Policy); err != nil {
		return c, badPolicy(source, s.Policy)
	}
	if may := []string{"admit", "refuse"}; !slices.Contains(may, s.Unknown) {
		return c, badValue(source, "unknown_identities", s.Unknown, may...)
	}
	if may := []string{"everyone", "cleared"}; !slices.Contains(may, s.Visibility) {
		return c, badValue(source, "visibility", s.Visibility, may...)
	}
	if may := []string{"refuse", "continue"}; !slices.Contains(may, s.AuditFailure) {
		return c, badValue(source, "audit_failure", s.AuditFailure, may...)
	}
	c.Audit, c.Unaudited = s.Audit, s.AuditFailure == "continue"
	c.KnownOnly, c.Cleared, c.LabelsBelow = s.Unknown == "refuse", s.Visibility == "cleared", append([]string(nil), s.LabelsBelow...) // nil where there is none
	for _, identity := range s.LabelsBelow {
		if !levels.ValidIdentity(identity) {
			return c, badValue(source, "labels_below", identity, "identities as relay level list shows them: SERIALNUMBER@ANCHOR")
		}
	}
	if c.Revocation, c.Recheck, err = s.revocation(source); err != nil {
		return c, err
	}
	if may := []string{"any", "card"}; !slices.Contains(may, s.RequireSigning) {
		return c, badValue(source, "require_signing", s.RequireSigning, may...)
	}
	var known bool
	if c.MinSuite, known = wire.ParseSuite(s.MinSuite); !known {
		return c, badValue(source, "min_suite", s.MinSuite, wire.SuiteNames()...)
	}
	if c.Grace, err = time.ParseDuration(s.Grace); err != nil || c.Grace < 0 {
		return c, badValue(source, "delegation_grace", s.Grace, `a time like "10m" or "90s"`, `"0" for never`)
	}
	after, err := time.ParseDuration(s.RekeyAfter)
	if err != nil || after < time.Second || after > 24*time.Hour {
		return c, badValue(source, "rekey_after", s.RekeyAfter, `a time like "15m", from "1s" to "24h"`)
	}
	if s.RekeyMessages < 1 {
		return c, badValue(source, "rekey_messages", "0", "1 and more")
	}
	c.Limits = wire.RekeyLimits{Messages: s.RekeyMessages, Seconds: uint32(after / time.Second)}
	if s.MaxSessions < 1 {
		return c, badValue(source, "max_sessions", strconv.Itoa(s.MaxSessions), "1 and more")
	}
	if err := c.LogLevel.UnmarshalText([]byte(s.Log)); err != nil {
		return c, badValue(source, "log", s.Log, "debug", "info", "warn", "error")
	}
	if c.Anchors, c.Authorities, err = cardauth.LoadTrust(s.Trust); err != nil {
		return c, badTrust(err)
	}
	if c.Certificate, err = s.loadKey(); err != nil {
		return c, err
	}
	if err = checkCertificate(c.Certificate.Leaf, withoutPIN(s.Certificate), now); err == nil && c.Name == "" {
		c.Name, err = relayName(c.Certificate.Leaf, withoutPIN(s.Certificate))
	}
	if err != nil {
		err = errors.Join(err, release(c.Certificate))
	}
	return c, err
}

func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err
}

// checkCertificate refuses what every peer would refuse (protocol.md section 3.8), while there is still somebody to tell.
func checkCertificate(c *x509.Certificate, file string, now time.Time) error {
	switch {
	case now.Before(c.NotBefore) || now.After(c.NotAfter):
		return badCertificate(file, outOfTime(c))
	case c.IsCA:
		return badCertificate(file, "is one of an authority")
	case !slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth):
		return badCertificate(file, "is not for TLS servers: it lacks the extended usage serverAuth")
	}
	_, err := relayName(c, file)
	return err
}

// relayName is the name to use where none was given: the first DNS name that says more than localhost, else the common name
// if the certificate carries it as a name of a host as well.
func relayName(c *x509.Certificate, file string) (string, error) {
	for _, n := range append(slices.Clone(c.DNSNames), c.Subject.CommonName) {
		if n != "localhost" && c.VerifyHostname(n) == nil {
			return n, nil
		}
	}
	if c.VerifyHostname("localhost") == nil {
		return "localhost", nil
	}
	return "", badCertificate(file, "carries no name of a host")
}
