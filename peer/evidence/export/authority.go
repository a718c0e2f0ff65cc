package export

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"

	"sinete/peer/evidence/internal/bundle"
	"sinete/peer/evidence/internal/stamp"
)

// Authority stamps bundles with its time (RFC 3161).
type Authority struct {
	URL     string              // http or https
	Anchors []*x509.Certificate // one of which its certificate must lead to
	Client  *http.Client        // nil: one that waits for 15 seconds
}

// stamp has an authority stamp the files of a bundle, and adds the stamp to them.
func (a *Authority) stamp(ctx context.Context, files map[string][]byte) error {
	over := bundle.Imprint(files)
	answer, err := stamp.Ask(ctx, a.Client, a.URL, over)
	if err != nil {
		return &StampError{a.URL, err}
	}
	for _, anchor := range a.Anchors {
		if _, _, err = stamp.Read(answer, anchor, over); err == nil {
			files[bundle.Name("stamp", 1, "tsr")], files[bundle.Name("stamp", 1, "pem")] = answer, bundle.PEM("CERTIFICATE", anchor.Raw)
			return nil
		}
	}
	if err == nil {
		err = errors.New("there is no authority that is trusted")
	}
	return &StampError{a.URL, err}
}
