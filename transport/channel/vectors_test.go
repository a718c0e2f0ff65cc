package channel

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sinete/wire"
)

// known is one known answer of wire/testdata/vectors, whose README says what stands in it. Package wire's tests make the files
// from the formulas of the text; here the code that has the keys must come to the same.
type known struct {
	t      *testing.T
	kind   string
	fields []struct {
		name  string
		value []byte
	}
}

func readKnown(t *testing.T, path string) (k known) {
	text, err := os.ReadFile(path)
	must(t, err)
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		switch value = strings.TrimPrefix(value, " "); name {
		case "expect", "comment":
		case "kind":
			k.kind = value
		default:
			b, err := hex.DecodeString(value)
			must(t, err)
			k.fields = append(k.fields, struct {
				name  string
				value []byte
			}{name, b})
		}
	}
	k.t = t
	return k
}

// all are the values under a name, in their order.
func (k known) all(name string) (v [][]byte) {
	for _, f := range k.fields {
		if f.name == name {
			v = append(v, bytes.Clone(f.value))
		}
	}
	return v
}

func (k known) one(name string) []byte {
	k.t.Helper()
	v := k.all(name)
	if len(v) != 1 {
		k.t.Fatalf("%d fields %s, want one", len(v), name)
	}
	return v[0]
}

func (k known) number(name string) uint64 { return binary.BigEndian.Uint64(k.one(name)) }

func (k known) suite() (wire.Suite, parameters) {
	s := wire.Suite(k.number("suite"))
	return s, suites[s]
}

func (k known) same(what string, got, want []byte) {
	k.t.Helper()
	if !bytes.Equal(got, want) {
		k.t.Errorf("%s is %x, by the text %x", what, got, want)
	}
}

// sameKey compares a cipher that does not show its key with one made from the key of the text.
func (k known) sameKey(what string, p parameters, got interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
}, key []byte) {
	k.t.Helper()
	want, err := p.aead(key)
	must(k.t, err)
	nonce := make([]byte, ivLen)
	k.same(what+"'s ciphertext", got.Seal(nil, nonce, []byte("plaintext"), nil), want.Seal(nil, nonce, []byte("plaintext"), nil))
}

// knownKinds are the kinds of vectors that this package must come to.
var knownKinds = map[string]func(k known){
	"key-schedule": func(k known) {
		s, p := k.suite()
		salt := k.one("salt")
		if len(salt) == 0 {
			salt = nil
		}
		prk := p.extract(k.one("shared-secret"), salt)
		k.same("PRK", prk, k.one("prk"))
		aead, iv := p.parametersAEAD(prk, k.one("th2"))
		k.sameKey("the parameters", p, aead, k.one("par-key"))
		k.same("their iv", iv, k.one("par-iv"))
		k.same("the lane secret", newChannel(wire.RoleInitiator, s, p, wire.KindHop, prk, k.one("th")).epochs[0].lanes, k.one("lanes"))
		for field, label := range map[string]string{"mac-i": "mac i", "mac-r": "mac r"} {
			k.same(field, p.expandLabel(prk, label, k.one("th2"), p.hash().Size()), k.one(field))
		}
		k.same("the chain secret", p.expandLabel(prk, "chain", k.one("th"), p.hash().Size()), k.one("chain"))
	},
	"lane-keys": func(k known) {
		s, p := k.suite()
		lane := k.number("lane")
		if lanes := k.all("lanes"); len(lanes) == 1 {
			c := &Channel{p: p}
			for i, d := range []wire.Direction{1, 2} {
				key, half := c.hopHalf(&epoch{lanes: lanes[0]}, lane, d)
				k.sameKey("the lane", p, key, k.all("key")[i])
				k.same("iv", half.iv[:], k.all("iv")[i])
			}
			return
		}
		for i, role := range []wire.Role{wire.RoleInitiator, wire.RoleResponder} {
			l := newChannel(role, s, p, wire.KindConversation, k.one("prk"), k.one("th")).Conversation()
			out, in := i, 1-i
			k.same("the ratchet of what is sent", l.out.state[:], k.all("ratchet")[out])
			k.same("the ratchet of what is received", l.in.state[:], k.all("ratchet")[in])
			k.same("the iv of what is sent", l.out.iv[:], k.all("iv")[out])
			k.same("the iv of what is received", l.in.iv[:], k.all("iv")[in])
		}
	},
	"ratchet": func(k known) {
		states := k.all("ratchet") // ratchet(0), which goes in, and one after each step
		r := ratchet{state: [32]byte(states[0])}
		for i, want := range states[1:] {
			opening := r.next()
			k.same("the key", r.key[:], k.all("key")[i])
			k.same("the opening key", opening[:], k.all("opening-key")[i])
			k.same("the ratchet", r.state[:], want)
		}
	},
	"nonce": func(k known) {
		for i, seq := range k.all("seq") {
			h := half{iv: [ivLen]byte(k.one("iv")), seq: binary.BigEndian.Uint64(seq)}
			k.same("the nonce", h.next(1), k.all("nonce")[i])
		}
	},
	"machine-mac": func(k known) {
		s, p := k.suite()
		d := k.number("direction")
		c := newChannel(wire.Role(d), s, p, wire.KindConversation, k.one("prk"), k.one("th"))
		k.same("the key", c.epochs[0].machine[d-1][:], k.one("machine-key"))
		m := c.MachineFrame([32]byte(k.one("machine-hash")), k.number("noticed") == 1)
		k.same("the MAC", m.MAC[:], k.one("mac"))
	},
	"rekey-mac": func(k known) {
		s, p := k.suite()
		d := k.number("direction")
		e := newChannel(wire.RoleInitiator, s, p, wire.KindHop, k.one("prk"), k.one("th")).epochs[0]
		key := e.please
		if d > 0 {
			key = e.switched[d-1]
		}
		k.same("the key", key[:], k.one("mac-key"))
		mac := wire.RekeyMAC(&key, [32]byte(k.one("channel")), k.one("unsigned"))
		k.same("the MAC", mac[:], k.one("mac"))
	},
	"proof-mac":  func(k known) { k.handshakeMAC("mac i", "th2") },
	"accept-mac": func(k known) { k.handshakeMAC("mac r", "th3") },
}

func (k known) handshakeMAC(label, th string) {
	_, p := k.suite()
	seal, err := wire.ParseSeal(k.one("seal"))
	must(k.t, err)
	var d *wire.SealedDelegation
	if statement := k.one("delegation"); len(statement) > 0 {
		d = &wire.SealedDelegation{Statement: statement}
	}
	k.same("the MAC", p.mac(k.one("prk"), label, k.one("th2"), k.one(th), k.one("certificate"), seal, d), k.one("mac"))
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("../../wire/testdata/vectors/*.txt")
	must(t, err)
	found := map[string]int{}
	for _, path := range files {
		if compute := knownKinds[readKnown(t, path).kind]; compute != nil {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
				k := readKnown(t, path)
				compute(k)
				found[k.kind]++
			})
		}
	}
	for kind := range knownKinds {
		if found[kind] == 0 {
			t.Errorf("no vector of kind %s", kind)
		}
	}
}
