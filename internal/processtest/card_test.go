//go:build cgo

package processtest

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"sinete/internal/trialpki"
	"sinete/internal/vcard"
	"sinete/internal/vcard/reader"
)

// The keys of a PIV token: that of slot 9A wants the PIN once, that of 9C at each signature.
const slot9A, slot9C = "%01", "%02"

// pivCard names the key in a slot of the PIV token that is in the reader, with its PIN.
func pivCard(t *testing.T, r *reader.Reader, slot string) string {
	return "pkcs11:id=" + slot + "?module-path=" + url.PathEscape(r.Module(t)) + "&pin-value=" + reader.PIVPIN
}

// newPIV makes a PIV token for somebody of the trial hierarchy.
func newPIV(t *testing.T, name string) *vcard.Card {
	t.Helper()
	w, err := trialpki.Open(trial, trialpki.Options{})
	must(t, err)
	c, _ := reader.NewPIV(t, w, name, trialpki.P256)
	return c
}

// cardholder is somebody with a PIV token in a reader, connected to Bruno after a message each way.
type cardholder struct {
	person
	bruno   person
	r       *relay
	reader  *reader.Reader
	token   *vcard.Card
	another *vcard.Card // somebody else's
}

func newCardholder(t *testing.T, name, slot string, args ...string) *cardholder {
	t.Helper()
	c := &cardholder{r: startRelay(t, trial), reader: reader.Start(t), token: newPIV(t, name), another: newPIV(t, name+"-sister")}
	c.reader.Insert(t, c.token)
	p := chat(t, c.r.address, pivCard(t, c.reader, slot), nil, append(args, "--rekey-after", "5s")...)
	full := fmt.Sprint(p.event("session", "state", "open")["name"])
	bruno := chat(t, c.r.address, soft("bruno"), nil, "--rekey-after", "5s")
	bruno.event("session", "state", "open")
	// A module that hangs is given a minute, and OpenSC's does now and then where a card goes while it is looked at.
	p.Patience, bruno.Patience = 2*patience, 2*patience
	c.person, c.bruno = connected(t, p, bruno, full, "Bruno")
	talk(t, c.person, c.bruno, "before")
	return c
}

// tempted puts another token into the reader, which the person is told and which is not used, and takes it out.
func (c *cardholder) tempted(t *testing.T) {
	t.Helper()
	c.reader.Insert(t, c.another)
	c.event("warning", "code", "card-other")
	c.reader.Remove(t)
	if n := c.another.Counts(); n != (vcard.Counts{}) {
		t.Errorf("the other card was asked for something: %+v", n)
	}
}

// until returns the texts that come up to that one.
func (p person) until(last string) (texts []string) {
	p.t.Helper()
	for !slices.Contains(texts, last) {
		texts = append(texts, fmt.Sprint(p.event("message", "id", p.other)["text"]))
	}
	return texts
}

// A card that is pulled out ends the session, and the contact sees it. Another in its place signs nothing. The same card back has the
// session and the conversation back for one PIN, and what was typed meanwhile arrives once.
func TestCardPulledOut(t *testing.T) {
	t.Parallel()
	c := newCardholder(t, "pia", slot9A)
	pins := c.token.Counts().Verified
	c.reader.Remove(t)
	c.event("conversation", "state", "closed", "id", c.other)
	c.event("session", "state", "closed", "reason", "card-removed", "again", true)
	c.bruno.event("conversation", "state", "closed", "id", c.bruno.other, "reason", "cut") // nothing could seal a farewell
	c.says("send##" + c.other + "##typed meanwhile")
	c.tempted(t)
	c.reader.Insert(t, c.token)
	c.event("session", "state", "open")
	c.event("conversation", "state", "open")
	c.says("send##" + c.other + "##and then")
	if got := c.bruno.until("and then"); !slices.Equal(got, []string{"typed meanwhile", "and then"}) {
		t.Errorf("Bruno received %q", got)
	}
	if n := c.token.Counts(); n.Verified != pins+1 || n.Wrong != 0 {
		t.Errorf("%d PINs at first, now %+v", pins, n)
	}
	c.leave()
	c.bruno.leave()
	c.r.stop()
}

// With --on-removal wait, seals and new keys wait for the card and go on when it is back, in the same session.
func TestSealsWaitForTheCard(t *testing.T) {
	t.Parallel()
	c := newCardholder(t, "pedro", slot9A, "--on-removal", "wait")
	pins := c.token.Counts().Verified
	c.reader.Remove(t)
	c.says("send##" + c.other + "##typed meanwhile")
	for hop, conversation := false, false; !hop || !conversation; {
		e := c.event("warning", "code", "rekey-waiting")
		conversation = conversation || e["id"] != nil
		hop = hop || e["id"] == nil
	}
	c.tempted(t)
	c.reader.Insert(t, c.token)
	if got := c.bruno.until("typed meanwhile"); len(got) != 1 {
		t.Errorf("Bruno received %q", got)
	}
	for _, p := range []person{c.person, c.bruno} {
		p.event("conversation", "state", "open", "id", p.other, "epoch", 1)
	}
	talk(t, c.person, c.bruno, "after")
	if n := c.token.Counts(); n.Verified != pins+1 || n.Wrong != 0 {
		t.Errorf("%d PINs at first, now %+v", pins, n)
	}
	c.leave()
	c.bruno.leave()
	c.r.stop()
}

// A key that wants its PIN each time delegates by itself: one PIN a login, however much is said, and one more when the card is back.
func TestPINEachTime(t *testing.T) {
	t.Parallel()
	c := newCardholder(t, "paz", slot9C)
	first := c.token.Counts()
	for i := range 20 {
		talk(t, c.person, c.bruno, fmt.Sprint("message ", i))
	}
	if n := c.token.Counts(); n != first || n.Signatures != 1 {
		t.Errorf("%+v after the login, %+v now", first, n)
	}
	c.reader.Remove(t)
	c.event("session", "state", "closed", "reason", "card-removed", "again", true)
	c.bruno.event("conversation", "state", "closed", "id", c.bruno.other, "reason", "peer-left") // the delegated key sealed it
	c.reader.Insert(t, c.token)
	c.event("session", "state", "open", "signing", "delegated")
	c.event("conversation", "state", "open")
	c.says("send##" + c.other + "##back")
	c.bruno.until("back")
	if n := c.token.Counts(); n.Signatures != 2 || n.Verified != 2*first.Verified || n.Wrong != 0 { // OpenSC logs in as well
		t.Errorf("%+v after the first login, %+v after the second", first, n)
	}
	c.leave()
	c.bruno.leave()
	c.r.stop()
}
