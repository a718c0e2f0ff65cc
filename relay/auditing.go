package relay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"sinete/cardauth/seal"
	"sinete/internal/link"
	"sinete/relay/audit"
	"sinete/wire"
)

// auditPace lets so many refusals of one session, or of all who are not logged in, into the audit log: nobody fills a disk by being refused.
type auditPace struct {
	mu     sync.Mutex
	bucket link.Bucket
	missed int
}

const (
	auditAtOnce    = 30
	auditPerSecond = 1
)

// take reports whether one more is recorded now, and how many before it were not.
func (p *auditPace) take(now time.Time) (missed int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.bucket.Take(now, auditAtOnce, auditPerSecond) {
		p.missed++
		return 0, false
	}
	missed, p.missed = p.missed, 0
	return missed, true
}

// record writes to the audit log, if there is one. That it cannot be written is said loudly; whether that stops anything is the caller's affair.
func (r *Relay) record(rec audit.Record) error {
	if r.cfg.Audit == nil {
		return nil
	}
	err := r.cfg.Audit.Append(rec)
	if err != nil {
		r.cfg.Logger.Error("the audit log cannot be written", "event", string(rec.Event), "err", err)
	}
	return err
}

// mustRecord is record for what may happen only if it is recorded, unless the configuration says otherwise.
func (r *Relay) mustRecord(rec audit.Record) error {
	if err := r.record(rec); err != nil && !r.cfg.Unaudited {
		return wire.Errorf(wire.CodeBusy, "not without the audit log: %w", err)
	}
	return nil
}

// refusal records that something was refused, as far as pace lets it.
func (r *Relay) refusal(pace *auditPace, rec audit.Record, number wire.Code) {
	if missed, ok := pace.take(time.Now()); ok {
		rec.Code, rec.Missed = number.String(), missed
		_ = r.record(rec) // it is refused all the same
	}
}

// about is a record of this session.
func (s *session) about(e audit.Event) audit.Record {
	return audit.Record{Event: e, Identity: s.other.Identity, Session: s.id}
}

// asks is a record of a request that may be refused; with is whom it concerns, if anybody.
func (s *session) asks(request string, with *session) audit.Record {
	rec := s.about(audit.Refused)
	if rec.Request = request; with != nil {
		rec.With = with.other.Identity
	}
	return rec
}

// logsIn records that a person is about to be in.
func (s *session) logsIn(from string) error {
	rec := s.about(audit.Login)
	rec.From, rec.Level, rec.Delegated = from, s.level().String(), s.other.Delegated
	rec.Certificate = hex.EncodeToString(s.other.CertificateHash[:])
	return s.relay.mustRecord(rec)
}

// sealAudit seals a head of the audit log. It is alone in its batch, so that the signed bytes hold nothing but the head.
func (r *Relay) sealAudit(ctx context.Context, statement []byte) (wire.Seal, [32]byte, error) {
	s, err := r.sealer.SealAlone(ctx, seal.Statement{Purpose: wire.PurposeAuditHead, Bytes: statement})
	return s, sha256.Sum256(r.cfg.Card.Certificate().Raw), err
}

func (r *Relay) auditFailed(err error) {
	r.cfg.Logger.Error("the audit log has no new head", "err", err)
}

// beginAudit records the start, and has heads made until ctx ends.
func (r *Relay) beginAudit(ctx context.Context) error {
	if r.cfg.Audit == nil {
		return nil
	}
	hash := sha256.Sum256(r.cfg.Card.Certificate().Raw)
	if err := r.mustRecord(audit.Record{Event: audit.Started, Relay: r.cfg.Name, Certificate: hex.EncodeToString(hash[:])}); err != nil {
		return err
	}
	r.running.Go(func() { r.cfg.Audit.Run(ctx, r.sealAudit, r.auditFailed) })
	return nil
}

// lastSeal is how long the head over everything may take at the end.
const lastSeal = 10 * time.Second

// endAudit records the end, when nothing else happens any more, and makes the last head.
func (r *Relay) endAudit() {
	if r.cfg.Audit == nil {
		return
	}
	_ = r.record(audit.Record{Event: audit.Stopped})
	ctx, cancel := context.WithTimeout(context.Background(), lastSeal)
	defer cancel()
	if err := r.cfg.Audit.Seal(ctx, r.sealAudit); err != nil {
		r.auditFailed(err)
	}
}
