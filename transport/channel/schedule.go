package channel

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"encoding/binary"

	"sinete/wire"
)

// expandLabel is Expand-Label of protocol.md section 3.9.
func (p parameters) expandLabel(secret []byte, label string, context []byte, n int) []byte {
	const prefix = "sinete/1 "
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(append(append(info, byte(len(prefix)+len(label))), prefix...), label...)
	info = append(append(info, byte(len(context))), context...)
	out, err := hkdf.Expand(p.hash, secret, string(info), n)
	if err != nil {
		panic("channel: " + err.Error()) // only for an n beyond 255 hashes, and ours are constants
	}
	return out
}

// extract makes an epoch's PRK. salt is the previous epoch's chain secret, nil in the first.
func (p parameters) extract(shared, salt []byte) []byte {
	if salt == nil {
		salt = make([]byte, p.hash().Size())
	}
	prk, err := hkdf.Extract(p.hash, shared, salt)
	if err != nil {
		panic("channel: " + err.Error()) // only for keys that a FIPS-only process refuses
	}
	return prk
}

// mac is the MAC of proof (label "mac i", th is TH2) or accept (label "mac r", th is TH3).
func (p parameters) mac(prk []byte, label string, th2, th, certificate []byte, seal wire.Seal, d *wire.SealedDelegation) []byte {
	m := hmac.New(p.hash, p.expandLabel(prk, label, th2, p.hash().Size()))
	m.Write(wire.MACInput(th, certificate, seal, d))
	return m.Sum(nil)
}

// parametersAEAD encrypts a hop's parameters. Its key is used once, so its nonce is fixed.
func (p parameters) parametersAEAD(prk, th2 []byte) (cipher.AEAD, []byte) {
	aead, err := p.aead(p.expandLabel(prk, "parameters key", th2, p.keyLen))
	if err != nil {
		panic("channel: " + err.Error()) // only for a key of the wrong length
	}
	return aead, p.expandLabel(prk, "parameters iv", th2, ivLen)
}

// lanePlace names a lane's direction in the key schedule.
func lanePlace(lane uint64, d wire.Direction) []byte {
	return append(binary.BigEndian.AppendUint64(nil, lane), byte(d))
}
