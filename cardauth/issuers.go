package cardauth

import (
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"sync"
)

// issuers are authorities that have stood in chains which were accepted. The chains of all who log in end in the same few: with one certificate
// for all of them a session takes some 15 KiB less.
var issuers shared

// mostShared is beyond what any trust store has.
const mostShared = 256

type shared struct {
	mu     sync.Mutex
	byHash map[[32]byte]*x509.Certificate // of the DER
}

// parse is parseCertificate, or what was shared of it. der is the caller's to change: a certificate that held on to it would hold on to the whole
// message that it came in.
func (s *shared) parse(der []byte) (*x509.Certificate, error) {
	s.mu.Lock()
	c := s.byHash[sha256.Sum256(der)]
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	return parseCertificate(slices.Clone(der))
}

// share takes those who were sent and stand in the accepted chain. Nobody may change them.
func (s *shared) share(sent, chain []*x509.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range sent {
		id := sha256.Sum256(c.Raw)
		if s.byHash[id] != nil || !slices.Contains(chain, c) {
			continue
		}
		if s.byHash == nil || len(s.byHash) >= mostShared {
			s.byHash = map[[32]byte]*x509.Certificate{}
		}
		s.byHash[id] = c
	}
}
