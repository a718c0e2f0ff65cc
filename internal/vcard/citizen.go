package vcard

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"slices"
)

// Citizen is what is on a Cartão de Cidadão of the first kind (IAS, until 2024), with the files that OpenSC reads: three PINs and
// so three slots, two RSA keys, and the authorities' certificates.
type Citizen struct {
	Authentication Key // RSA, 2,048 to 3,072 bits
	Signature      Key // as that; for signatures that bind in law, and wants its PIN each time
	// The authorities' certificates, DER; those that are nil are left out.
	SignatureCA, AuthenticationCA, RootCA []byte
	PINs                                  [3]string // authentication, signature, address
	Tries                                 int       // of each PIN, DefaultTries if 0
}

// References that commands use for keys and PINs.
const (
	refSignatureKey      = 1
	refAuthenticationKey = 2
	refFirstPIN          = 0x81
)

const (
	algorithmRaw    = 0x02 // the host sends the DigestInfo
	algorithmSHA256 = 0x42 // the host sends the hash
)

// Files, by their paths: the master file, the PKCS #15 application and the citizen's application.
const (
	master   = "\x3f\x00"
	pkcs15   = master + "\x4f\x00"
	citizens = master + "\x5f\x00"
)

type citizen struct {
	card     *Card
	files    map[string][]byte // by path; a folder is nil
	selected string            // path
	keys     map[byte]Key
	pins     [3]*pin

	// The security environment.
	algorithm, keyRef byte
	hash              []byte
}

// NewCitizen makes a Cartão de Cidadão.
func NewCitizen(p Citizen) (*Card, error) {
	c := &Card{}
	v := &citizen{card: c, keys: map[byte]Key{refAuthenticationKey: p.Authentication, refSignatureKey: p.Signature}}
	for i := range v.pins {
		v.pins[i] = newPIN(p.PINs[i], p.Tries)
	}
	for _, k := range v.keys {
		if _, ok := k.Private.(*rsa.PrivateKey); !ok {
			return nil, errors.New("vcard: this Cartão de Cidadão has RSA keys")
		}
	}
	v.files = citizenFiles(p)
	c.app = v
	v.reset()
	return c, nil
}

// citizenFiles are the files as PKCS #15 (v1.1) orders them, with the names that the real card has.
func citizenFiles(p Citizen) map[string][]byte {
	files := map[string][]byte{
		master: nil, pkcs15: nil, citizens: nil,
		master + "\x2f\x00": tlv(0x61, tlv(0x4F, []byte("DF issuer")), tlv(0x50, []byte("PORTUGAL EID")), tlv(0x51, []byte("\x4f\x00"))),
		pkcs15 + "\x50\x31": slices.Concat(
			tlv(0xA0, sequence(octets(citizens+"\xef\x0d"))),  // private keys
			tlv(0xA4, sequence(octets(citizens+"\xef\x0c"))),  // certificates
			tlv(0xA8, sequence(octets(citizens+"\x44\x01")))), // PINs
		// The token: its serial number, who made it, its name.
		pkcs15 + "\x50\x32": sequence(number(1), octets(string(guid(p.Authentication.Certificate)[:8])), utf8String("GEMALTO"),
			tlv(0x80, []byte("CARTAO DE CIDADAO")), tlv(0x03, []byte{0, 0})),
		citizens + "\x44\x01": slices.Concat(
			pinEntry("PIN da Autenticação", 0), pinEntry("PIN da Assinatura", 1), pinEntry("PIN da Morada", 2)),
		citizens + "\xef\x0d": slices.Concat(
			keyEntry("CITIZEN AUTHENTICATION KEY", 0x45, 1, []byte{5, 0x20}, refAuthenticationKey, p.Authentication),
			keyEntry("CITIZEN SIGNATURE KEY", 0x46, 2, []byte{6, 0, 0x40}, refSignatureKey, p.Signature)),
	}
	// What else the driver looks at: trace, identity, address, photograph, security object. Nobody reads their content here.
	for _, name := range []string{master + "\x00\x03", citizens + "\xef\x02", citizens + "\xef\x06", citizens + "\xef\x07"} {
		files[name] = make([]byte, 16)
	}
	var directory []byte
	for _, c := range []struct {
		label string
		id    byte
		file  string
		der   []byte
	}{
		{"CITIZEN AUTHENTICATION CERTIFICATE", 0x45, "\xef\x09", p.Authentication.Certificate},
		{"CITIZEN SIGNATURE CERTIFICATE", 0x46, "\xef\x08", p.Signature.Certificate},
		{"SIGNATURE SUB CA", 0x50, "\xef\x0f", p.SignatureCA},
		{"AUTHENTICATION SUB CA", 0x51, "\xef\x10", p.AuthenticationCA},
		{"ROOT CA", 0x52, "\xef\x11", p.RootCA},
	} {
		if c.der == nil {
			continue
		}
		directory = append(directory, certificateEntry(c.label, c.id, citizens+c.file)...)
		files[citizens+c.file] = c.der
	}
	files[citizens+"\xef\x0c"] = directory
	return files
}

func sequence(parts ...[]byte) []byte { return tlv(0x30, parts...) }
func octets(s string) []byte          { return tlv(0x04, []byte(s)) }
func utf8String(s string) []byte      { return tlv(0x0C, []byte(s)) }

func number(n int) []byte {
	b, err := asn1.Marshal(n)
	if err != nil {
		panic(err) // no integer does that
	}
	return b
}

func certificateEntry(label string, id byte, path string) []byte {
	return sequence(sequence(utf8String(label)), sequence(octets(string([]byte{id}))), tlv(0xA1, sequence(sequence(octets(path)))))
}

func keyEntry(label string, id, pinID byte, usage []byte, ref int, k Key) []byte {
	bits := k.Private.Public().(*rsa.PublicKey).N.BitLen()
	return sequence(
		sequence(utf8String(label), octets(string([]byte{pinID}))),
		sequence(octets(string([]byte{id})), tlv(0x03, usage), number(ref)),
		tlv(0xA1, sequence(sequence(octets("")), number(bits))))
}

func pinEntry(label string, i byte) []byte {
	const digits = 1 // the type: ASCII
	return sequence(
		sequence(utf8String(label)),
		sequence(octets(string([]byte{i + 1}))),
		tlv(0xA1, sequence(tlv(0x03, []byte{0x03, 0x88}), tlv(0x0A, []byte{digits}), number(4), number(8),
			tlv(0x80, []byte{0, refFirstPIN + i}), octets("\xff"))))
}

// atr is that of the IAS cards.
func (v *citizen) atr() []byte { return unhex("3bff9600008131fe4380318065b085040120120fff829000d0") }

func (v *citizen) reset() {
	v.selected, v.hash = master, nil
	for _, p := range v.pins {
		p.verified = false
	}
}

func (v *citizen) pin(n int) *pin {
	if n < 1 || n > len(v.pins) {
		return nil
	}
	return v.pins[n-1]
}

func (v *citizen) do(c command) ([]byte, uint16) {
	switch c.ins {
	case insSelect:
		return v.selectFile(c)
	case insReadBinary:
		data := v.files[v.selected]
		offset := int(c.p1)<<8 | int(c.p2)
		if data == nil || offset > len(data) {
			return nil, statusOutside
		}
		return data[offset:min(len(data), offset+c.expected)], statusOK
	case insVerify:
		return v.card.verify(v.pin(int(c.p2)-refFirstPIN+1), c)
	case insManage: // 80 01 algorithm 84 01 key
		if c.p1 != 0x41 || c.p2 != 0xB6 || len(c.data) != 6 {
			return nil, statusWrongData
		}
		v.algorithm, v.keyRef = c.data[2], c.data[5]
		return nil, statusOK
	case insSecurity:
		switch c.p1 {
		case 0x90: // hash: 90 length value
			_, hash, _, ok := nextTLV(c.data)
			if !ok {
				return nil, statusWrongData
			}
			v.hash = bytes.Clone(hash)
			return nil, statusOK
		case 0x9E:
			return v.sign()
		}
	}
	return nil, statusNoInstruction
}

// sign uses the hash that came before, once. A signature that binds in law uses up its PIN as well.
func (v *citizen) sign() ([]byte, uint16) {
	key, ok := v.keys[v.keyRef]
	if !ok {
		return nil, statusNoReference
	}
	p := v.pins[0]
	if v.keyRef == refSignatureKey {
		p = v.pins[1]
	}
	hash := v.hash
	v.hash = nil
	switch {
	case hash == nil:
		return nil, statusNoConditions
	case !p.verified:
		return nil, statusNotAllowed
	}
	if v.keyRef == refSignatureKey {
		p.verified = false
	}
	function := crypto.Hash(0)
	switch v.algorithm {
	case algorithmSHA256:
		if function = crypto.SHA256; len(hash) != function.Size() {
			return nil, statusNoConditions
		}
	case algorithmRaw:
	default:
		return nil, statusNoConditions
	}
	return v.card.sign(func() ([]byte, error) {
		return rsa.SignPKCS1v15(nil, key.Private.(*rsa.PrivateKey), function, hash)
	})
}

// selectFile looks for the name from where the host may mean it: the whole path, below the master file, beside what is selected,
// and in both applications.
func (v *citizen) selectFile(c command) ([]byte, uint16) {
	if c.p1 == 0x04 { // by name: of the citizen's application alone
		if !bytes.Equal(c.data, unhex("604632ff000002")) {
			return nil, statusNotFound
		}
		v.selected = master
		return nil, statusOK
	}
	name, folder := string(c.data), v.selected
	if v.files[folder] != nil {
		folder = folder[:len(folder)-2]
	}
	for _, path := range []string{name, master + name, folder + name, pkcs15 + name, citizens + name} {
		data, ok := v.files[path]
		if !ok {
			continue
		}
		v.selected = path
		if c.p2&0x0C == 0x0C { // no answer wanted
			return nil, statusOK
		}
		return fileControl(path, data), statusOK
	}
	return nil, statusNotFound
}

// fileControl says what a file is: how long, of which kind, who may do what.
func fileControl(path string, data []byte) []byte {
	name := tlv(0x83, []byte(path[len(path)-2:]))
	if data == nil {
		return tlv(0x6F, tlv(0x82, []byte{0x38}), name, tlv(0x8C, []byte{0x06, 0, 0}))
	}
	return tlv(0x6F, tlv(0x81, []byte{byte(len(data) >> 8), byte(len(data))}), tlv(0x82, []byte{1}), name,
		tlv(0x8C, []byte{0x1B, 0xFF, 0xFF, 0xFF, 0}))
}
