package main

import (
	"cmp"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
)

type cardsCommand struct {
	Module []string `placeholder:"SO" sep:"none" help:"PKCS#11 module to look at. May be repeated. Default: the well-known ones that are installed, or $$SINETE_PKCS11_MODULE."`
	JSON   bool     `name:"json" help:"One JSON object a line instead of text."`
}

// Help is what peer cards --help shows below its first line.
func (*cardsCommand) Help() string { return aboutCards }

// run shows what could be read even where something could not. The status is 1 where no card is usable.
func (c *cardsCommand) run(p *program) int {
	screen := p.screen(c.JSON)
	tokens, err := p.listTokens(c.Module)
	if len(tokens) == 0 {
		if err == nil {
			err = &pkcs11card.NotFoundError{URI: "pkcs11:", Reason: noReader}
		}
		t := explain(err)
		screen.show(errorEvent(t))
		return t.status
	}
	readers, usable, candidates := readersOf(tokens, time.Now())
	for _, r := range readers {
		screen.show(r)
	}
	if err != nil {
		t := explain(err)
		screen.show(warningEvent{Code: t.code, Text: t.text()})
	}
	switch {
	case usable == 0:
		t := explain(&pkcs11card.NotFoundError{URI: "pkcs11:", Reason: noneUsable})
		screen.show(errorEvent(t))
		return t.status
	case usable > 1:
		screen.show(noticeEvent{severalUsable})
	case candidates > 1:
		screen.show(noticeEvent{othersExpired})
	}
	return statusDone
}

// readersOf describes what was found, and counts the certificates that can be used and those among which peer chat chooses, which are
// more where some are out of their validity. One that several modules show is one, in the first of them.
func readersOf(tokens []pkcs11card.Token, now time.Time) (readers []readerEvent, usable, candidates int) {
	seen := map[string]string{} // module by certificate
	var chosen *certificateEntry
	for _, t := range tokens {
		r := readerEvent{Module: t.Module, Reader: t.Reader, Present: t.Present, Token: t.Label, Serial: t.Serial,
			Certificates: make([]certificateEntry, 0, len(t.Certificates))}
		for _, cert := range t.Certificates {
			e := certificateEntry{URI: cert.URI, Name: cardauth.DisplayName(cert.Certificate), Label: cert.Label,
				NotAfter: cert.NotAfter.UTC().Format(time.RFC3339), Reason: cmp.Or(cert.Refuse, outOfValidity(cert.Certificate, now)), authority: cert.IsCA}
			e.Usable = e.Reason == ""
			r.Certificates = append(r.Certificates, e)
			module, again := seen[string(cert.Raw)]
			if cert.Refuse != "" || again && module != t.Module {
				continue
			}
			seen[string(cert.Raw)] = t.Module
			candidates++
			if e.Usable {
				usable++
				chosen = &r.Certificates[len(r.Certificates)-1]
			}
		}
		readers = append(readers, r)
	}
	if usable == 1 && candidates == 1 {
		chosen.Chosen = true
	}
	return readers, usable, candidates
}
