package vcard

import "slices"

// tlv is a BER-TLV object: a tag of one byte or two, the length, and the parts as the value.
func tlv(tag uint16, parts ...[]byte) []byte {
	var b []byte
	if tag > 0xFF {
		b = append(b, byte(tag>>8))
	}
	b = append(b, byte(tag))
	v := slices.Concat(parts...)
	switch n := len(v); {
	case n < 0x80:
		b = append(b, byte(n))
	case n <= 0xFF:
		b = append(b, 0x81, byte(n))
	default:
		b = append(b, 0x82, byte(n>>8), byte(n))
	}
	return append(b, v...)
}

// nextTLV takes the first object, with a tag of one byte, from b.
func nextTLV(b []byte) (tag byte, value, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, nil, false
	}
	tag, n := b[0], int(b[1])
	b = b[2:]
	if n >= 0x80 {
		size := n & 0x7F
		if size < 1 || size > 2 || len(b) < size {
			return 0, nil, nil, false
		}
		n = 0
		for _, x := range b[:size] {
			n = n<<8 | int(x)
		}
		b = b[size:]
	}
	if n > len(b) {
		return 0, nil, nil, false
	}
	return tag, b[:n], b[n:], true
}

// findTLV is the value of the first object with that tag.
func findTLV(b []byte, tag byte) ([]byte, bool) {
	for {
		t, value, rest, ok := nextTLV(b)
		if !ok {
			return nil, false
		}
		if t == tag {
			return value, true
		}
		b = rest
	}
}
