// Package pkcs11card is a person's card behind a PKCS #11 module: an identity card, a PIV token, an HSM.
//
//	tokens, err := pkcs11card.List(nil)                                 // what is there
//	card, err := pkcs11card.Open(ctx, "pkcs11:token=CITIZEN%20CARD", prompt)
//
// The certificate is chosen by what it may do, never by its label: it has a private key of equal CKA_ID, and its key usage
// has digitalSignature and not contentCommitment, since a signature with that is legally binding.
//
// A module is loaded by a child process, which ends with the last card that needs it: main must call ChildMain first. A module
// that crashes or hangs costs an error, and the next call finds it started anew. Without cgo everything here answers with
// an UnsupportedError.
package pkcs11card

import (
	"crypto/sha256"
	"crypto/x509"
	"os"
	"runtime"
	"slices"
	"time"

	"sinete/cardauth/pkcs11card/internal/login"
	"sinete/cardauth/pkcs11card/profile"
)

// ModuleVariable is the environment variable with the path of the module to use where the URI names none.
const ModuleVariable = "SINETE_PKCS11_MODULE"

// Token is a reader with the token in it.
type Token struct {
	Module                             string // path
	Slot                               uint
	Reader                             string
	Present                            bool // false: the reader is empty, and nothing below is set
	Label, Serial, Manufacturer, Model string
	Login                              bool // wants a PIN once, at login; otherwise it asks by itself, or never
	Pad                                bool // the PIN is entered at the reader
	PIN                                PINTries
	Profile                            profile.Profile // what is known of its kind
	Certificates                       []Certificate
}

// PINTries is what a token says of the tries that are left, without a number. Some say nothing before a PIN has been wrong.
type PINTries = login.Tries

const (
	PINUntouched = login.Untouched // all, or the token does not say
	PINLow       = login.Low       // a wrong PIN has been given since the last right one
	PINFinal     = login.Final     // one more wrong PIN locks it
	PINLocked    = login.Locked    // none
)

// Certificate is a certificate on a token.
type Certificate struct {
	*x509.Certificate
	Label  string
	ID     []byte
	URI    string
	Refuse string // why it cannot be a person's card here; empty where it can
	// Exportable reports that its key can be copied out of the token. A token that hides its keys until login shows it only then.
	Exportable bool
}

// ModulePaths are the modules that are looked at where a URI names none: $SINETE_PKCS11_MODULE, or those of the well-known
// ones that are installed.
func ModulePaths() []string {
	if p := os.Getenv(ModuleVariable); p != "" {
		return []string{p}
	}
	return installed(profile.ModulePaths(runtime.GOOS))
}

func installed(all []string) (paths []string) {
	var infos []os.FileInfo
	for _, p := range all {
		info, err := os.Stat(p)
		// Distributions link one place to the other; a module seen twice would make every card ambiguous.
		if err == nil && !slices.ContainsFunc(infos, func(i os.FileInfo) bool { return os.SameFile(i, info) }) {
			paths, infos = append(paths, p), append(infos, info)
		}
	}
	return paths
}

// Options are wishes beside a URI. The zero value is right for most.
type Options struct {
	// Accept reports whether anybody takes a chain (DER, the person's first). It decides where several certificates would do.
	Accept func(chain [][]byte) error
	// Preferred is the KeyHash of the certificate that the person chose last time, for where several would do.
	Preferred [32]byte
	// Idle is how long after its last signature a token stays logged in; zero: until the card is closed.
	Idle time.Duration
	// Notify is told what the person should know while a signature takes its time, and by Watch. It may be called by several
	// goroutines at once.
	Notify func(card string, n Notice)
}

// Notice is what a person should know of the card.
type Notice string

const (
	NoticePad     Notice = "pad"     // the PIN is entered at the reader
	NoticeDialog  Notice = "dialog"  // the card's own software asks for the PIN
	NoticeWaiting Notice = "waiting" // the card takes its time
	NoticeOther   Notice = "other"   // another card is in its place, and is asked for nothing
)

// KeyHash is the SHA-256 of a certificate's public key (SubjectPublicKeyInfo), which stays the same when labels and places change.
func KeyHash(c *x509.Certificate) [32]byte { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }
