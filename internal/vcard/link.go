package vcard

import (
	"encoding/binary"
	"io"
	"net"
)

// Control messages of the reader: one byte where an APDU has four and more.
const (
	controlOff   = 0
	controlOn    = 1
	controlReset = 2
	controlATR   = 4
)

// serve answers the virtual reader until the connection ends. Each message is a length of two bytes, big-endian, and that many
// bytes. seen is closed once the reader has switched the card on, has been told its ATR and wants something else: by then it has
// told everybody of the card.
func (c *Card) serve(conn net.Conn, seen chan struct{}) {
	defer conn.Close()
	on, told, known := false, false, false
	for {
		// The reader's driver writes length and body apart, with Nagle's algorithm on: unless acknowledged at once, each command
		// would wait 40 ms.
		quickAck(conn)
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		message := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, message); err != nil {
			return
		}
		if told && !known {
			known = true
			close(seen)
		}
		var answer []byte
		switch {
		case len(message) == 1 && message[0] == controlATR:
			answer = c.app.atr()
		case len(message) == 1:
			on = message[0] == controlOn || message[0] == controlReset
			c.reset()
			continue
		default:
			c.set.Lock()
			d := c.set.perCommand
			c.set.Unlock()
			c.delayed(d)
			answer = c.Transmit(message)
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
		told = told || on
	}
}
