package stores

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestSpan(t *testing.T) {
	for text, want := range map[string]time.Duration{"90d": 90 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1y": 365 * 24 * time.Hour, "36h": 36 * time.Hour,
		" 15m ": 15 * time.Minute, "0": 0} {
		var s Span
		if err := s.UnmarshalText([]byte(text)); err != nil || time.Duration(s) != want {
			t.Errorf("%q: %v, %v", text, time.Duration(s), err)
		}
	}
	for _, text := range []string{"", "d", "-3d", "-3h", "1.5d", "101y", "99999d", "90", "soon"} {
		var s Span
		if s.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is taken as %v", text, time.Duration(s))
		}
	}
}

func TestMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for text, want := range map[string]time.Time{
			"1999-12-31":           time.Date(1999, 12, 31, 0, 0, 0, 0, time.Local),
			"1999-12-31T09:05":     time.Date(1999, 12, 31, 9, 5, 0, 0, time.Local),
			"1999-12-31 09:05":     time.Date(1999, 12, 31, 9, 5, 0, 0, time.Local),
			"1999-12-31T09:05:07Z": time.Date(1999, 12, 31, 9, 5, 7, 0, time.UTC),
			"3d":                   time.Now().Add(-72 * time.Hour),
		} {
			var m Moment
			if err := m.UnmarshalText([]byte(text)); err != nil || !m.Equal(want) {
				t.Errorf("%q: %v, %v", text, m, err)
			}
		}
		for _, text := range []string{"", "31.12.1999", "yesterday", "1999-02-30"} {
			var m Moment
			if m.UnmarshalText([]byte(text)) == nil {
				t.Errorf("%q is taken as %v", text, m)
			}
		}
	})
}
