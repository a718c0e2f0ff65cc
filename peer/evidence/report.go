package evidence

import (
	"crypto/x509"
	"time"

	"sinete/wire"
)

// Report is what a bundle proves.
type Report struct {
	People   []Person
	Relays   []Relay
	Messages []Message // in the order of proof.txt
	Statuses []Status
	Stamps   []Stamp
}

// Person is somebody by their certificate.
type Person struct {
	Identity, Name string
	Certificate    *x509.Certificate
	Chain          []*x509.Certificate // from the certificate to the anchor
}

// Anchor is where the certificates lead.
func (p *Person) Anchor() *x509.Certificate { return p.Chain[len(p.Chain)-1] }

// Relay is a relay by its certificate.
type Relay struct {
	Name  string
	Chain []*x509.Certificate // from the certificate to the anchor
}

// Anchor is where the certificates lead.
func (r *Relay) Anchor() *x509.Certificate { return r.Chain[len(r.Chain)-1] }

// Relayed is what a relay states: that it had a message at a time.
type Relayed struct {
	Relay int    // of Report.Relays
	At    uint64 // Unix seconds, by its clock
}

// Message is a message that is proved.
type Message struct {
	From, To  int // of Report.People
	Channel   [32]byte
	Epoch     uint64
	Seq       uint64 // in the epoch
	Number    uint64 // of the author's texts to the recipient, from 0
	ID        [16]byte
	Time      uint64 // milliseconds since 1970, the author's clock
	Label     wire.Level
	File      string // that has the text
	Text      string
	Sealed    Sealed   // the first of its author's seals that covers it
	Delivered *Sealed  // the first of the recipient's that acknowledges it; nil: there is none
	Relayed   *Relayed // the first of a relay's; nil: there is none
}

// Sealed is a seal.
type Sealed struct {
	At         uint64 // Unix seconds, by the clock of whoever sealed
	Scheme     wire.Scheme
	Delegation *wire.Delegation // what the card allowed the key that sealed; nil: the card sealed itself
}

// Stamp is what a time-stamping authority states: that all that the bundle proves was there at a time.
type Stamp struct {
	Certificate, Anchor *x509.Certificate // of whoever signed the stamp, and where it leads
	At                  uint64            // Unix seconds
}

// Status is what the issuer of a certificate said of it: that it was good.
type Status struct {
	Person      int // of Report.People
	Certificate *x509.Certificate
	From, Until time.Time
}
