package cardauth

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"sinete/wire"
)

var oidSerialNumber = asn1.ObjectIdentifier{2, 5, 4, 5}

// Identity returns who a certificate speaks of under that anchor: text of at most wire.MaxIdentity bytes, the same for a
// renewed certificate (protocol.md section 7.1). The error is an *IdentityError.
func Identity(cert, anchor *x509.Certificate) (string, error) {
	serials := 0
	for _, a := range cert.Subject.Names {
		if a.Type.Equal(oidSerialNumber) {
			serials++
		}
	}
	who := cert.Subject.SerialNumber
	switch {
	case serials > 1:
		return "", &IdentityError{"a subject with several serial numbers"}
	case strings.HasPrefix(who, "mailto:"):
		return "", &IdentityError{"a serial number that would pass for an e-mail address"}
	case who == "" && len(cert.EmailAddresses) > 0 && cert.EmailAddresses[0] != "":
		who = "mailto:" + strings.ToLower(cert.EmailAddresses[0])
	case who == "":
		return "", &IdentityError{"neither serial number nor e-mail address"}
	}
	id := escape(who) + "@" + AnchorID(anchor)
	if len(id) > wire.MaxIdentity {
		return "", &IdentityError{"longer than an identity may be"}
	}
	return id, nil
}

// AnchorID is how identities name an anchor: 16 hexadecimal digits of the hash of its key (section 7.1).
func AnchorID(anchor *x509.Certificate) string {
	h := sha256.Sum256(anchor.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(h[:8])
}

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '@' || c == '%' || c == '#' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// DisplayName returns the subject's common name as it may be shown: at most wire.MaxName bytes, with U+FFFD for what is
// invisible or would change how the rest is shown (section 7.1). It is empty where there is none.
func DisplayName(cert *x509.Certificate) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Zs, r):
			return ' '
		case !unicode.IsPrint(r), unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector),
			r == '\u2800': // a Braille pattern without dots
			return utf8.RuneError
		}
		return r
	}, cert.Subject.CommonName)
	if len(name) > wire.MaxName {
		end := wire.MaxName
		for !utf8.RuneStart(name[end]) {
			end--
		}
		name = name[:end]
	}
	return strings.TrimSpace(name)
}
