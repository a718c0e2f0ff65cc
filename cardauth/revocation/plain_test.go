package revocation

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

func marshalled(t *testing.T, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	must(t, err)
	return b
}

// longer is a sequence with something more at its end.
func longer(t *testing.T, der []byte) []byte {
	t.Helper()
	var v asn1.RawValue
	_, err := asn1.Unmarshal(der, &v)
	must(t, err)
	return marshalled(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(slices.Clone(v.Bytes), marshalled(t, []byte("psst"))...)})
}

// Whatever an answer can hold that its authority did not mean to say: it verifies with it, is no staple, and is one again without it.
func TestStaplesArePlain(t *testing.T) {
	a := newAuthority(t)
	cert, _ := a.issue(t, nil)
	responder, key := a.delegate(t, nil)
	s := subject{cert, a.cert}
	now := time.Now()
	says := ocsp.Response{SerialNumber: cert.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}
	byIssuer, err := ocsp.CreateResponse(a.cert, a.cert, says, a.key)
	must(t, err)
	says.Certificate = responder
	byResponder, err := ocsp.CreateResponse(a.cert, responder, says, key)
	must(t, err)
	invented := &x509.Certificate{SerialNumber: cert.SerialNumber, Subject: pkix.Name{CommonName: "psst"}}
	stranger, err := x509.CreateCertificate(rand.Reader, invented, invented, a.key.Public(), a.key)
	must(t, err)
	stranger[len(stranger)-1] ^= 1 // nobody who invents one can sign it

	inner := func(edit func(b *basicDER)) func([]byte) []byte {
		return func(raw []byte) []byte {
			outer, b, err := layers(raw)
			must(t, err)
			edit(&b)
			outer.Response.Body = marshalled(t, b)
			return marshalled(t, outer)
		}
	}
	for name, spoil := range map[string]func(raw []byte) []byte{
		"another certificate": inner(func(b *basicDER) {
			if len(b.Certificates) > 0 {
				b.Certificates = append(b.Certificates, asn1.RawValue{FullBytes: marshalled(t, []byte("psst"))})
			} else { // the issuer's key, and whatever else
				b.Certificates = []asn1.RawValue{{FullBytes: stranger}}
			}
		}),
		"parameters": inner(func(b *basicDER) { b.Algorithm.Parameters = asn1.RawValue{FullBytes: marshalled(t, []byte("psst"))} }),
		"behind all": func(raw []byte) []byte { return longer(t, raw) },
		"behind the signature": func(raw []byte) []byte {
			outer, _, err := layers(raw)
			must(t, err)
			outer.Response.Body = longer(t, outer.Response.Body)
			return marshalled(t, outer)
		},
		"behind the responder's certificate": inner(func(b *basicDER) {
			if len(b.Certificates) > 0 {
				b.Certificates[0].FullBytes = longer(t, b.Certificates[0].FullBytes)
			} else {
				b.Certificates = []asn1.RawValue{{FullBytes: a.cert.Raw}}
			}
		}),
	} {
		for _, raw := range [][]byte{byIssuer, byResponder} {
			if _, err := newChecker(t, nil).staple(raw, s, now); err != nil {
				t.Fatal(err)
			}
			spoilt := spoil(raw)
			if bytes.Equal(spoilt, raw) {
				t.Fatalf("%s: nothing is spoilt", name)
			}
			if _, err := newChecker(t, nil).staple(spoilt, s, now); err == nil {
				t.Errorf("%s: a staple", name)
			}
			said, err := parseOCSP(spoilt, s, now)
			if err != nil {
				t.Logf("%s: refused in any case: %v", name, err)
				continue
			}
			if b, err := plain(said); err != nil || !bytes.Equal(b, raw) {
				t.Errorf("%s: %v, %x", name, err, b)
			}
		}
	}
}

// elements are those of a sequence.
func elements(t *testing.T, der []byte) (all []asn1.RawValue) {
	t.Helper()
	_, err := asn1.Unmarshal(der, &all)
	must(t, err)
	return all
}

// What an authority signs since whoever asked wanted it so is no staple either, where it could be anything.
func TestStaplesLeaveLittleToChoose(t *testing.T) {
	a := newAuthority(t)
	cert, _ := a.issue(t, nil)
	another, _ := a.issue(t, nil)
	now := time.Now()
	about := func(c *x509.Certificate) []byte {
		raw, err := ocsp.CreateResponse(a.cert, a.cert, ocsp.Response{SerialNumber: c.SerialNumber, ThisUpdate: now, NextUpdate: now.Add(time.Hour)}, a.key)
		must(t, err)
		return raw
	}
	// edited is signed anew. data are the responder, a time, the entries, and extensions if any.
	edited := func(edit func(data []asn1.RawValue) []asn1.RawValue) []byte {
		outer, b, err := layers(about(cert))
		must(t, err)
		data := marshalled(t, edit(elements(t, b.Data.FullBytes)))
		b.Data = asn1.RawValue{FullBytes: data}
		sum := sha256.Sum256(data)
		signature, err := a.key.Sign(rand.Reader, sum[:], crypto.SHA256)
		must(t, err)
		b.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
		outer.Response.Body = marshalled(t, b)
		return marshalled(t, outer)
	}
	nonce := func(n int) func([]asn1.RawValue) []asn1.RawValue {
		return func(data []asn1.RawValue) []asn1.RawValue {
			b, err := asn1.MarshalWithParams([]pkix.Extension{{Id: oidNonce, Value: marshalled(t, make([]byte, n))}}, "explicit,tag:1")
			must(t, err)
			return append(data, asn1.RawValue{FullBytes: b})
		}
	}
	for name, c := range map[string]struct {
		edit   func(data []asn1.RawValue) []asn1.RawValue
		staple bool
	}{
		"nothing":        {func(data []asn1.RawValue) []asn1.RawValue { return data }, true},
		"a nonce":        {nonce(maxNonce), true},
		"a longer nonce": {nonce(maxNonce + 1), false},
		"another entry": {func(data []asn1.RawValue) []asn1.RawValue {
			_, other, err := layers(about(another))
			must(t, err)
			both := append(elements(t, data[2].FullBytes), elements(t, elements(t, other.Data.FullBytes)[2].FullBytes)...)
			data[2] = asn1.RawValue{FullBytes: marshalled(t, both)}
			return data
		}, false},
		"parameters of a hash": {func(data []asn1.RawValue) []asn1.RawValue {
			entry := elements(t, elements(t, data[2].FullBytes)[0].FullBytes)
			id := elements(t, entry[0].FullBytes)
			hash := elements(t, id[0].FullBytes)
			id[0] = asn1.RawValue{FullBytes: marshalled(t, []asn1.RawValue{hash[0], {FullBytes: marshalled(t, []byte("psst"))}})}
			entry[0] = asn1.RawValue{FullBytes: marshalled(t, id)}
			data[2] = asn1.RawValue{FullBytes: marshalled(t, [][]asn1.RawValue{entry})}
			return data
		}, false},
	} {
		raw := edited(c.edit)
		if _, err := parseOCSP(raw, subject{cert, a.cert}, now); err != nil {
			t.Errorf("%s: no answer: %v", name, err)
		}
		if _, err := newChecker(t, nil).staple(raw, subject{cert, a.cert}, now); (err == nil) != c.staple {
			t.Errorf("%s: %v", name, err)
		}
	}
}
