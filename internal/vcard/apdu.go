package vcard

import "encoding/binary"

// Status words of ISO/IEC 7816-4.
const (
	statusOK              = 0x9000
	statusMore            = 0x6100 // and how much, 0 for 256 and more
	statusWrongPIN        = 0x63C0 // and the tries left
	statusWrongLength     = 0x6700
	statusNotAllowed      = 0x6982 // the security status is not satisfied
	statusLocked          = 0x6983
	statusNoConditions    = 0x6985
	statusWrongData       = 0x6A80
	statusNotFound        = 0x6A82
	statusWrongParameters = 0x6A86
	statusNoReference     = 0x6A88
	statusOutside         = 0x6B00
	statusNoInstruction   = 0x6D00
)

// Instructions.
const (
	insVerify       = 0x20
	insManage       = 0x22 // MANAGE SECURITY ENVIRONMENT
	insSecurity     = 0x2A // PERFORM SECURITY OPERATION
	insAuthenticate = 0x87 // GENERAL AUTHENTICATE
	insSelect       = 0xA4
	insReadBinary   = 0xB0
	insGetResponse  = 0xC0
	insGetData      = 0xCB
)

const (
	chainingBit = 0x10    // of the class: more of this command follows
	maxChained  = 4 << 10 // bytes; no command here is longer
)

// command is an APDU that was sent to the card.
type command struct {
	class, ins, p1, p2 byte
	data               []byte
	expected           int // bytes of answer that the host takes at most; 0 where it wants none
}

// parseCommand reads an APDU in any of the seven forms that ISO/IEC 7816-3 (12.1) has.
func parseCommand(b []byte) (c command, ok bool) {
	if len(b) < 4 {
		return c, false
	}
	c.class, c.ins, c.p1, c.p2 = b[0], b[1], b[2], b[3]
	b = b[4:]
	if len(b) == 0 {
		return c, true
	}
	// The length fields take one byte each, or two behind a zero.
	size := 1
	number := func(b []byte) int { return int(b[0]) }
	if b[0] == 0 && len(b) > 1 {
		if len(b) < 3 {
			return c, false
		}
		size, b = 2, b[1:]
		number = func(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
	}
	if len(b) > size {
		n := number(b)
		if b = b[size:]; n == 0 || n > len(b) {
			return c, false
		}
		c.data, b = b[:n], b[n:]
	}
	switch len(b) {
	case 0:
	case size:
		if c.expected = number(b); c.expected == 0 {
			c.expected = 1 << (8 * size)
		}
	default:
		return c, false
	}
	return c, true
}

// Transmit answers an APDU: data and status word. It takes any bytes.
func (c *Card) Transmit(apdu []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, status := c.answer(apdu)
	return binary.BigEndian.AppendUint16(data, status)
}

func (c *Card) answer(apdu []byte) ([]byte, uint16) {
	cmd, ok := parseCommand(apdu)
	if !ok {
		c.pending, c.chained = nil, nil
		return nil, statusWrongLength
	}
	if cmd.ins == insGetResponse {
		return c.part(cmd.expected)
	}
	c.pending = nil
	if len(c.chained)+len(cmd.data) > maxChained {
		c.chained = nil
		return nil, statusWrongLength
	}
	c.chained = append(c.chained, cmd.data...)
	if cmd.class&chainingBit != 0 {
		return nil, statusOK
	}
	cmd.data, c.chained = c.chained, nil
	data, status := c.app.do(cmd)
	if status != statusOK {
		return nil, status
	}
	c.pending = data
	return c.part(cmd.expected)
}

// part is as much of the answer as the host takes; it fetches the rest with GET RESPONSE.
func (c *Card) part(expected int) ([]byte, uint16) {
	n := min(expected, len(c.pending))
	part := append([]byte(nil), c.pending[:n]...)
	c.pending = c.pending[n:]
	switch left := len(c.pending); {
	case left == 0:
		return part, statusOK
	case left > 0xFF:
		return part, statusMore
	default:
		return part, statusMore | uint16(left)
	}
}

func (c *Card) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.chained = nil, nil
	c.app.reset()
}
