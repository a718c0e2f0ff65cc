package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"
)

// The formulas of sections 3.9, 5.1, 5.3 and 7.5, written from the text: this package has no keys, so nothing here is shared with the
// package that has. Its tests compare what it computes with the vectors that these make.

func macOf(s Suite, key []byte, parts ...[]byte) []byte {
	m := hmac.New(hashOf(s), key)
	m.Write(slices.Concat(parts...))
	return m.Sum(nil)
}

func macSHA256(key []byte, parts ...[]byte) []byte { return macOf(SuiteX25519AES256GCM, key, parts...) }

// expand is HKDF-Expand of RFC 5869.
func expand(s Suite, secret, info []byte, n int) (out []byte) {
	var block []byte
	for i := byte(1); len(out) < n; i++ {
		block = macOf(s, secret, block, info, []byte{i})
		out = append(out, block...)
	}
	return out[:n]
}

func expandLabel(s Suite, secret []byte, label string, context []byte, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = appendOpaque8(info, []byte("sinete/1 "+label))
	return expand(s, secret, appendOpaque8(info, context), n)
}

func keyLen(s Suite) int {
	if s == SuiteP256AES128GCM {
		return 16
	}
	return 32
}

func lanePlace(lane uint64, direction byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, lane), direction)
}

func extract(s Suite, salt, secret []byte) []byte {
	if len(salt) == 0 {
		salt = make([]byte, hashOf(s)().Size())
	}
	return macOf(s, salt, secret)
}

// schedules are derivations of keys.
var schedules = map[string]func(in *inputs) []field{
	"key-schedule": func(in *inputs) []field {
		s, salt, secret := in.suite(), in.take("salt"), in.take("shared-secret")
		th2, th := in.take("th2"), in.take("th")
		prk, size := extract(s, salt, secret), len(th)
		return []field{{"prk", prk},
			{"mac-i", expandLabel(s, prk, "mac i", th2, size)}, {"mac-r", expandLabel(s, prk, "mac r", th2, size)},
			{"par-key", expandLabel(s, prk, "parameters key", th2, keyLen(s))}, {"par-iv", expandLabel(s, prk, "parameters iv", th2, 12)},
			{"chain", expandLabel(s, prk, "chain", th, size)}, {"lanes", expandLabel(s, prk, "lanes", th, size)}}
	},
	"lane-keys": func(in *inputs) (out []field) {
		s := in.suite()
		if in.next("lanes") { // of a hop
			lanes, lane := in.take("lanes"), in.number("lane")
			for direction := byte(1); direction <= 2; direction++ {
				place := lanePlace(lane, direction)
				out = append(out, field{"key", expandLabel(s, lanes, "lane key", place, keyLen(s))},
					field{"iv", expandLabel(s, lanes, "lane iv", place, 12)})
			}
			return out
		}
		prk, th, lane := in.take("prk"), in.take("th"), in.number("lane")
		for direction := byte(1); direction <= 2; direction++ {
			context := append(appendOpaque8(nil, th), lanePlace(lane, direction)...)
			out = append(out, field{"ratchet", expandLabel(s, prk, "lane ratchet", context, 32)},
				field{"iv", expandLabel(s, prk, "lane iv", context, 12)})
		}
		return out
	},
	"ratchet": func(in *inputs) (out []field) {
		state := in.take("ratchet")
		for range 3 {
			b := expand(SuiteX25519AES256GCM, state, []byte("sinete/1 ratchet"), 96)
			state = b[:32]
			out = append(out, field{"ratchet", b[:32]}, field{"key", b[32:64]}, field{"opening-key", b[64:]})
		}
		return out
	},
	"nonce": func(in *inputs) (out []field) {
		iv := in.take("iv")
		for in.next("seq") {
			nonce := slices.Clone(iv)
			for i, b := range binary.BigEndian.AppendUint64(nil, in.number("seq")) {
				nonce[4+i] ^= b
			}
			out = append(out, field{"nonce", nonce})
		}
		return out
	},
	"machine-mac": func(in *inputs) []field {
		s, prk, th, direction := in.suite(), in.take("prk"), in.take("th"), in.number("direction")
		key := expandLabel(s, prk, "machine", append(slices.Clone(th), byte(direction)), 32)
		return []field{{"machine-key", key}, {"mac", macSHA256(key, in.take("machine-hash"), []byte{byte(in.number("noticed"))})}}
	},
	"rekey-mac": func(in *inputs) []field {
		s, prk, th, direction := in.suite(), in.take("prk"), in.take("th"), in.number("direction")
		label, context := "rekey please", slices.Clone(th)
		if direction > 0 {
			label, context = "switched", append(context, byte(direction))
		}
		key := expandLabel(s, prk, label, context, 32)
		return []field{{"mac-key", key}, {"mac", macSHA256(key, in.take("channel"), in.take("unsigned"))}}
	},
	"proof-mac": func(in *inputs) []field {
		s, prk, th2 := in.suite(), in.take("prk"), in.take("th2")
		return []field{{"mac", macOf(s, expandLabel(s, prk, "mac i", th2, len(th2)), sealedFor(in, th2))}}
	},
	"accept-mac": func(in *inputs) []field {
		s, prk, th2, th3 := in.suite(), in.take("prk"), in.take("th2"), in.take("th3")
		return []field{{"mac", macOf(s, expandLabel(s, prk, "mac r", th2, len(th2)), sealedFor(in, th3))}}
	},
}

// sealedFor is what the MACs of proof and accept cover.
func sealedFor(in *inputs, th []byte) (b []byte) {
	for _, part := range [][]byte{th, in.take("certificate"), in.take("seal"), in.take("delegation")} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
	}
	return b
}

func (in *inputs) suite() Suite { return Suite(in.number("suite")) }

// scheduleCases is what goes into the vectors of keys. Those of one suite belong together: their PRK is that of its key schedule.
func scheduleCases() (all []vector) {
	add := func(name, kind, comment string, in ...field) {
		all = append(all, vector{name: name, kind: kind, comment: comment, fields: in})
	}
	for _, c := range []struct {
		suite  Suite
		label  string
		secret int // bytes of the shared secret
	}{
		{SuiteX25519MLKEM768AES256GCM, "sha384", 64},
		{SuiteX25519MLKEM768ChaCha20, "sha256", 64},
		{SuiteP256AES128GCM, "sha256-aes128", 32},
	} {
		size := hashOf(c.suite)().Size()
		suite, secret := field{"suite", number(uint64(c.suite))}, field{"shared-secret", data("shared secret", c.secret)}
		th2, th3, th := field{"th2", data("th2", size)}, field{"th3", data("th3", size)}, field{"th", data("th", size)}
		add("key-schedule-"+c.label, "key-schedule", "section 3.9: the first epoch", suite, field{"salt", nil}, secret, th2, th)

		prk := extract(c.suite, nil, secret.value)
		key := field{"prk", prk}
		lanes := field{"lanes", expandLabel(c.suite, prk, "lanes", th.value, size)}
		add("lane-keys-hop-"+c.label, "lane-keys", "section 3.9: a lane of a hop, both directions", suite, lanes, field{"lane", number(0x1235)})
		add("lane-keys-conversation-"+c.label, "lane-keys", "section 3.9: the messages of a conversation, both directions",
			suite, key, th, field{"lane", number(0)})
		for direction := uint64(1); direction <= 2; direction++ {
			add("machine-mac-"+c.label+"-from-"+Role(direction).String(), "machine-mac", "section 7.5: a closed direction", suite, key, th,
				field{"direction", number(direction)}, field{"machine-hash", data("machine hash", 32)}, field{"noticed", number(direction - 1)})
		}
		channel := field{"channel", data("channel", 32)}
		add("rekey-mac-"+c.label+"-please", "rekey-mac", "section 9.3: rekey-please, direction 0", suite, key, th, field{"direction", number(0)}, channel,
			field{"unsigned", []byte{3}})
		for direction := uint64(1); direction <= 2; direction++ {
			add("rekey-mac-"+c.label+"-switched-from-"+Role(direction).String(), "rekey-mac", "section 9.3: switched", suite, key, th,
				field{"direction", number(direction)}, channel, field{"unsigned", switches[2].value.AppendUnsigned(nil)})
		}
		certificate, seal := field{"certificate", data("certificate", 60)}, field{"seal", seals[1].value.Append(nil)}
		none, delegated := field{"delegation", nil}, field{"delegation", sampleDelegation("alice").Statement}
		add("proof-mac-"+c.label, "proof-mac", "section 3.9: a card that seals itself", suite, key, th2, certificate, seal, none)
		add("proof-mac-"+c.label+"-delegated", "proof-mac", "section 3.9: a delegation in force", suite, key, th2, certificate, seal, delegated)
		add("accept-mac-"+c.label, "accept-mac", "section 3.9: a card that seals itself", suite, key, th2, th3, certificate, seal, none)
		add("accept-mac-"+c.label+"-delegated", "accept-mac", "section 3.9: a delegation in force", suite, key, th2, th3, certificate, seal, delegated)
	}
	add("key-schedule-rekeyed", "key-schedule", "section 3.9: a later epoch, whose salt is a chain secret", field{"suite", number(1)},
		field{"salt", data("chain", 48)}, field{"shared-secret", data("shared secret", 64)}, field{"th2", data("th2", 48)}, field{"th", data("th", 48)})
	add("ratchet", "ratchet", "section 5.3: three steps", field{"ratchet", data("ratchet", sha256.Size)})
	var seqs []field
	for _, n := range []uint64{0, 1, 255, 256, 1<<32 + 1, maxVarint} {
		seqs = append(seqs, field{"seq", number(n)})
	}
	add("nonce", "nonce", "section 5.1: only the last 8 bytes change", append([]field{{"iv", data("iv", 12)}}, seqs...)...)
	return all
}
