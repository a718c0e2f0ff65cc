package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"sinete/wire"
)

// Event says what a record is about.
type Event string

const (
	Begun        Event = "begun"         // the log
	Started      Event = "started"       // the relay
	Stopped      Event = "stopped"       // in order
	Login        Event = "login"         // recorded before the person is in
	LoginRefused Event = "login-refused" //
	Ended        Event = "ended"         // a session, with why: superseded, certificate-revoked, ...
	Refused      Event = "refused"       // a request of a session, or content that may not pass
	LevelChanged Event = "level-changed" // of a session's person
)

// maxRecord is more than any record takes, in bytes.
const maxRecord = 4 << 10

// Record is one line of the log. It never holds what people write.
type Record struct {
	Time        time.Time `json:"time"` // UTC, milliseconds
	Event       Event     `json:"event"`
	Log         string    `json:"log,omitempty"`         // begun: what the log's heads name
	Relay       string    `json:"relay,omitempty"`       // started: its name
	Identity    string    `json:"identity,omitempty"`    // whose session, where they have proved it
	Session     uint32    `json:"session,omitempty"`     // number in the list
	From        string    `json:"from,omitempty"`        // network address
	Certificate string    `json:"certificate,omitempty"` // SHA-256, hexadecimal: the person's, or started: the relay's
	Delegated   bool      `json:"delegated,omitempty"`   // a key that the card delegated to seals
	Level       string    `json:"level,omitempty"`       // the person's, from now on
	Before      string    `json:"before,omitempty"`      // level-changed
	Request     string    `json:"request,omitempty"`     // refused: what was asked for
	With        string    `json:"with,omitempty"`        // refused: whom it concerns
	Label       string    `json:"label,omitempty"`       // refused: of the message
	Code        string    `json:"code,omitempty"`        // section 11 of protocol.md
	Missed      int       `json:"missed,omitempty"`      // records before this one that were dropped: too many, or not to be written
}

// Head is a sealed head of a log.
type Head struct {
	wire.AuditHead
	Seal        wire.Seal
	Certificate [32]byte // SHA-256 of the relay's, as it says
}

// headLine is a Head as files have it.
type headLine struct {
	Log         string    `json:"log"`
	Size        uint64    `json:"size"`
	Root        string    `json:"root"`
	Sealed      time.Time `json:"sealed"` // for people: the seal says it too
	Certificate string    `json:"certificate"`
	Seal        string    `json:"seal"`
}

func (h Head) MarshalJSON() ([]byte, error) {
	return json.Marshal(headLine{hex.EncodeToString(h.Log[:]), h.Size, base64.StdEncoding.EncodeToString(h.Root[:]),
		time.Unix(int64(h.Seal.Time), 0).UTC(), hex.EncodeToString(h.Certificate[:]), base64.StdEncoding.EncodeToString(h.Seal.Append(nil))})
}

func (h *Head) UnmarshalJSON(b []byte) error {
	var l headLine
	if err := json.Unmarshal(b, &l); err != nil {
		return err
	}
	log, err1 := hex.DecodeString(l.Log)
	root, err2 := base64.StdEncoding.Strict().DecodeString(l.Root)
	certificate, err3 := hex.DecodeString(l.Certificate)
	encoded, err4 := base64.StdEncoding.Strict().DecodeString(l.Seal)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return err
		}
	}
	if len(log) != len(h.Log) || len(root) != len(h.Root) || len(certificate) != len(h.Certificate) || l.Size == 0 || l.Size > 1<<62 {
		return fmt.Errorf("no head of an audit log")
	}
	s, err := wire.ParseSeal(encoded)
	if err != nil {
		return err
	}
	parsed := Head{wire.AuditHead{Log: [16]byte(log), Size: l.Size, Root: [32]byte(root)}, s, [32]byte(certificate)}
	again, err := parsed.MarshalJSON()
	var compact bytes.Buffer
	if err == nil {
		err = json.Compact(&compact, b)
	}
	if err != nil || !bytes.Equal(again, compact.Bytes()) { // one way to write it, and the time as the seal has it
		return fmt.Errorf("no head of an audit log as it is written")
	}
	*h = parsed
	return nil
}
