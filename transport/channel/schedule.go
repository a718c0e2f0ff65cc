package channel

import (
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"

	"sinete/wire"
)

// expandLabel is Expand-Label of protocol.md section 3.9.
func (p parameters) expandLabel(secret []byte, label string, context []byte, n int) []byte {
	out := make([]byte, n)
	p.expandInto(out, secret, label, context)
	return out
}

// expandInto is expandLabel into the place where the key is to lie, so that there is no other one to be erased.
func (p parameters) expandInto(out, secret []byte, label string, context []byte) {
	const prefix = "sinete/1 "
	info := binary.BigEndian.AppendUint16(nil, uint16(len(out)))
	info = append(append(append(info, byte(len(prefix)+len(label))), prefix...), label...)
	info = append(append(info, byte(len(context))), context...)
	var block []byte
	for i := byte(1); len(out) > 0; i++ { // HKDF-Expand of RFC 5869: at most two blocks here
		next := p.hmac(secret, block, info, []byte{i})
		clear(block)
		block, out = next, out[copy(out, next):]
	}
	clear(block)
}

// extract makes an epoch's PRK. salt is the previous epoch's chain secret, nil in the first.
func (p parameters) extract(shared, salt []byte) []byte {
	if salt == nil {
		salt = make([]byte, p.hash().Size())
	}
	return p.hmac(salt, shared)
}

// hmac is HMAC (RFC 2104) with a key no longer than a block of the hash, over parts, joined. Unlike crypto/hmac and crypto/hkdf it leaves
// nothing of the key, of its pads and of the parts where it could be found later, but for what the hash itself copies as it finishes.
func (p parameters) hmac(key []byte, parts ...[]byte) []byte {
	h := p.hash()
	pad := make([]byte, h.BlockSize())
	padded := func(b byte) []byte {
		for i := range pad {
			pad[i] = b
		}
		subtle.XORBytes(pad, pad, key)
		return pad
	}
	h.Write(padded(0x36))
	for _, part := range parts {
		h.Write(part)
	}
	inner := h.Sum(nil)
	h.Reset()
	h.Write(padded(0x5c))
	h.Write(inner)
	mac := h.Sum(nil)

	clear(inner)
	clear(pad)
	h.Reset() // keeps the block that was begun last
	h.Write(pad[1:])
	h.Write(pad[:1])
	h.Reset()
	return mac
}

// mac is the MAC of proof (label "mac i", th is TH2) or accept (label "mac r", th is TH3).
func (p parameters) mac(prk []byte, label string, th2, th, certificate []byte, seal wire.Seal, d *wire.SealedDelegation) []byte {
	key := p.expandLabel(prk, label, th2, p.hash().Size())
	defer clear(key)
	return p.hmac(key, wire.MACInput(th, certificate, seal, d))
}

// parametersAEAD encrypts a hop's parameters. Its key is used once, so its nonce is fixed.
func (p parameters) parametersAEAD(prk, th2 []byte) (cipher.AEAD, []byte) {
	return p.cipher(prk, "parameters key", th2), p.expandLabel(prk, "parameters iv", th2, ivLen)
}

// cipher makes the AEAD of that key. Its own copy goes with it, to the garbage collector.
func (p parameters) cipher(secret []byte, label string, context []byte) cipher.AEAD {
	key := p.expandLabel(secret, label, context, p.keyLen)
	defer clear(key)
	aead, err := p.aead(key)
	if err != nil {
		panic("channel: " + err.Error()) // only for a key of the wrong length
	}
	return aead
}

// lanePlace names a lane's direction in the key schedule.
func lanePlace(lane uint64, d wire.Direction) []byte {
	return append(binary.BigEndian.AppendUint64(nil, lane), byte(d))
}
