package stores

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Span is a time as people give it: 90d, 2w, 1y, or 36h.
type Span time.Duration

// days are those of the units that package time does not have.
var days = map[string]int{"d": 1, "w": 7, "y": 365}

// UnmarshalText reads a number of days, weeks or years, or what time.ParseDuration reads.
func (s *Span) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	for unit, n := range days {
		if number, ok := strings.CutSuffix(text, unit); ok {
			count, err := strconv.ParseUint(number, 10, 16)
			if err != nil || int(count)*n > 100*365 {
				return fmt.Errorf("%q is no time such as 90d", text)
			}
			*s = Span(time.Duration(count) * time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return fmt.Errorf("%q is no time such as 90d, 2w, 1y or 36h", text)
	}
	*s = Span(d)
	return nil
}

// Kept is how long something is kept: a Span that is not nothing.
type Kept time.Duration

// UnmarshalText reads a Span.
func (k *Kept) UnmarshalText(b []byte) error {
	var s Span
	err := s.UnmarshalText(b)
	if err == nil && s == 0 {
		err = errors.New("that keeps nothing: without --store nothing is kept")
	}
	*k = Kept(s)
	return err
}

// Moment is a date, a time, or how long ago.
type Moment struct{ time.Time }

// moments are the forms of a date and a time, of this place where they name none.
var moments = []string{time.DateOnly, "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05", time.RFC3339}

// UnmarshalText reads one of them, or a Span before now.
func (m *Moment) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	for _, form := range moments {
		if t, err := time.ParseInLocation(form, text, time.Local); err == nil {
			m.Time = t
			return nil
		}
	}
	var ago Span
	if ago.UnmarshalText(b) != nil {
		return fmt.Errorf("%q is no time: write 2026-11-30, 2026-11-30T09:00, or 3d for three days ago", text)
	}
	m.Time = time.Now().Add(-time.Duration(ago))
	return nil
}
