package channel

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sinete/wire"
)

// renderings are the ways in which Go writes bytes down.
func renderings(secret []byte) (all []string) {
	some := secret[:8]
	list := func(verb, between string) string {
		var parts []string
		for _, b := range some {
			parts = append(parts, fmt.Sprintf(verb, b))
		}
		return strings.Join(parts, between)
	}
	quoted := fmt.Sprintf("%q", some)
	return []string{string(some), hex.EncodeToString(some), strings.ToUpper(hex.EncodeToString(some)), list("%d", " "), list("%d", ","),
		list("0x%x", ", "), quoted[1 : len(quoted)-1], base64.StdEncoding.EncodeToString(some)[:10]}
}

// printed is all that fmt, encoding/json and log/slog say of a value.
func printed(v any) string {
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%q"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("an error", "with", v, "in", slog.GroupValue(slog.Any("a", v)), "err", fmt.Errorf("about %+v", v))
	}
	if text, err := json.Marshal(v); err == nil {
		b.Write(text)
	}
	return b.String()
}

// Whoever prints what holds a secret, by mistake or for a log, shows none.
func TestSecretsHideThemselves(t *testing.T) {
	hop, _ := channels(t, wire.KindHop, wire.SuiteX25519MLKEM768AES256GCM)
	talk, other := channels(t, wire.KindConversation, wire.SuiteX25519MLKEM768AES256GCM)
	hop.Hop(0)
	rekeyed(t, talk, other)
	h := newTalk(variant{kind: wire.KindHop}, wire.SuiteX25519MLKEM768AES256GCM)
	hello, err := h.i.Hello()
	must(t, err)
	_, err = h.r.ReadHello(hello)
	must(t, err)
	answering := *h.r
	shared := bytes.Clone(h.r.shared)
	answer, err := h.r.Answer()
	must(t, err)
	share := *h.i.shares[0]
	_, _, err = h.i.ReadAnswer(answer)
	must(t, err)
	sealed := talk.messages.Seal(nil, wire.Level{}, []byte("content"))

	answering.shared = shared
	secrets := [][]byte{h.i.prk, h.r.prk, shared, share.ec.Bytes(), share.kem.Bytes(), sealed.Opening[:], talk.messages.out.state[:], talk.messages.nextIn.state[:]}
	for _, c := range []*Channel{hop, talk} {
		for _, e := range c.epochs {
			secrets = append(secrets, e.please[:], e.switched[0][:], e.switched[1][:])
			if e.chain != nil {
				secrets = append(secrets, e.chain)
			}
			if c == hop {
				secrets = append(secrets, e.lanes)
			} else {
				secrets = append(secrets, e.machine[0][:], e.machine[1][:])
			}
		}
	}
	holders := []any{hop, talk, hop.hops[0], hop.hops[0].Lane, talk.messages, *talk.messages, h.i, *h.i, h.r, *h.r, answering, h.i.core, h.i.shares, share, sealed, &sealed,
		talk.epochs, *talk.epochs[0], talk.messages.out, talk.messages.out.ratchet, hopKeys{}, hop.Rekeying(wire.Credentials{}, wire.RekeyLimits{}), h.i.cfg}
	for _, v := range holders {
		for _, shown := range []any{v, []any{v}, struct{ V any }{v}, map[string]any{"v": v}} {
			text := printed(shown)
			for n, secret := range secrets {
				for _, r := range renderings(secret) {
					if strings.Contains(text, r) {
						t.Fatalf("a %T shows secret %d as %q", v, n, r)
					}
				}
			}
		}
	}
	// The search finds what is there to be found.
	for n, secret := range secrets {
		for _, v := range []any{secret, struct{ S []byte }{secret}} {
			found := 0
			for _, r := range renderings(secret) {
				found += strings.Count(printed(v), r)
			}
			if found < 5 {
				t.Errorf("secret %d would be found %d times", n, found)
			}
		}
	}
}
