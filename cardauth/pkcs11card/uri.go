package pkcs11card

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// URI names a certificate on a token (RFC 7512). Empty fields match everything.
type URI struct {
	Token, Serial, Manufacturer, Model string // of the token
	Object                             string // the certificate's label
	ID                                 []byte // CKA_ID of certificate and key
	Slot                               *uint
	ModulePath                         string // the module to use, else all that ModulePaths finds
	ModuleName                         string // a module's file name without "lib" and suffix
	PIN                                *string
	PINFile                            string // the file whose content is the PIN; a line end at its end is none of it
	LastTry                            bool   // the PIN is given even where a wrong one would lock the card
	Exportable                         bool   // a key that can be copied out of its token will do, for tests
}

// ParseURI reads a PKCS #11 URI: of the path token, serial, manufacturer, model, object, id, slot-id and type (which
// selects nothing), of the query module-path, module-name, pin-value and pin-source (file:PATH or an absolute path), and of our
// own pin-last-try and exportable-key (yes or no). Unknown path attributes are refused and unknown query ones ignored, as
// RFC 7512 section 2.3 wants. The error is a URIError.
func ParseURI(s string) (URI, error) {
	rest, ok := strings.CutPrefix(s, "pkcs11:")
	if !ok {
		return URI{}, &URIError{"it does not begin with pkcs11:"}
	}
	var u URI
	path, query, _ := strings.Cut(rest, "?")
	if err := attributes(path, ";", u.setPath); err != nil {
		return URI{}, err
	}
	if err := attributes(query, "&", u.setQuery); err != nil {
		return URI{}, err
	}
	if u.PIN != nil && u.PINFile != "" {
		return URI{}, &URIError{"pin-value and pin-source exclude each other"}
	}
	return u, nil
}

func attributes(s, separator string, set func(name, value string) error) error {
	if s == "" {
		return nil
	}
	seen := map[string]bool{}
	for _, a := range strings.Split(s, separator) {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return &URIError{fmt.Sprintf("%q is no attribute", name)}
		}
		if seen[name] {
			return &URIError{name + " stands there twice"}
		}
		seen[name] = true
		value, ok = percentDecode(value)
		if !ok {
			return &URIError{name + " is not percent-encoded as it must be"}
		}
		if err := set(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (u *URI) setPath(name, value string) error {
	switch name {
	case "token":
		u.Token = value
	case "serial":
		u.Serial = value
	case "manufacturer":
		u.Manufacturer = value
	case "model":
		u.Model = value
	case "object":
		u.Object = value
	case "id":
		u.ID = []byte(value)
	case "slot-id":
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return &URIError{"slot-id is no number"}
		}
		slot := uint(n)
		u.Slot = &slot
	case "type":
		// The URIs that other tools print for the key and for the certificate both mean this card.
		if value != "cert" && value != "private" && value != "public" {
			return &URIError{fmt.Sprintf("type %q is none of a card", value)}
		}
	default:
		return &URIError{fmt.Sprintf("unknown attribute %q", name)}
	}
	return nil
}

func (u *URI) setQuery(name, value string) error {
	switch name {
	case "module-path":
		u.ModulePath = value
	case "module-name":
		u.ModuleName = value
	case "pin-value":
		u.PIN = &value
	case "pin-source":
		file := strings.TrimPrefix(strings.TrimPrefix(value, "file:"), "//")
		if file == "" || file == value && !filepath.IsAbs(value) {
			return &URIError{"pin-source is neither file:PATH nor an absolute path"}
		}
		u.PINFile = file
	case "pin-last-try":
		return yes(&u.LastTry, name, value)
	case "exportable-key":
		return yes(&u.Exportable, name, value)
	}
	return nil
}

func yes(v *bool, name, value string) error {
	if value != "yes" && value != "no" {
		return &URIError{name + " is neither yes nor no"}
	}
	*v = value == "yes"
	return nil
}

func percentDecode(s string) (string, bool) {
	if !strings.Contains(s, "%") {
		return s, true
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if len(s) < i+3 {
			return "", false
		}
		v, err := hex.DecodeString(s[i+1 : i+3])
		if err != nil {
			return "", false
		}
		b = append(b, v[0])
		i += 2
	}
	return string(b), true
}

// String is the URI without its PIN, fit for people and logs.
func (u URI) String() string {
	var path, query []string
	add := func(to *[]string, name, value string) {
		if value != "" {
			*to = append(*to, name+"="+percentEncode(value))
		}
	}
	add(&path, "token", u.Token)
	add(&path, "serial", u.Serial)
	add(&path, "manufacturer", u.Manufacturer)
	add(&path, "model", u.Model)
	add(&path, "object", u.Object)
	if len(u.ID) > 0 {
		path = append(path, "id="+percentAll(u.ID))
	}
	if u.Slot != nil {
		path = append(path, fmt.Sprintf("slot-id=%d", *u.Slot))
	}
	add(&query, "module-path", u.ModulePath)
	add(&query, "module-name", u.ModuleName)
	if u.PINFile != "" {
		add(&query, "pin-source", "file:"+u.PINFile)
	}
	if u.LastTry {
		query = append(query, "pin-last-try=yes")
	}
	if u.Exportable {
		query = append(query, "exportable-key=yes")
	}
	s := "pkcs11:" + strings.Join(path, ";")
	if len(query) > 0 {
		s += "?" + strings.Join(query, "&")
	}
	return s
}

// percentEncode leaves what every shell and both parts of the URI take as it is.
func percentEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~/:", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func percentAll(v []byte) string {
	var b strings.Builder
	for _, c := range v {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

// pin is the PIN that the URI gives, and whether it gives one.
func (u *URI) pin() (string, bool, error) {
	switch {
	case u.PIN != nil:
		return *u.PIN, true, nil
	case u.PINFile != "":
		b, err := os.ReadFile(u.PINFile)
		if err != nil {
			return "", false, fmt.Errorf("pin-source: %w", err)
		}
		return strings.TrimRight(string(b), "\r\n"), true, nil
	}
	return "", false, nil
}
