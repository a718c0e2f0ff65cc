package journal

import (
	"bytes"
	"fmt"
	"testing"
)

var (
	testKey = [32]byte{1, 2, 3}
	testID  = [16]byte{4, 5, 6}
)

func TestWhatIsAppendedIsThereAgain(t *testing.T) {
	d := Dir(t.TempDir())
	var want [][]byte
	for round := range 3 {
		var got [][]byte
		j, damage, err := Open(d, testKey, testID, Mark{}, func(p Position, r []byte) error {
			if p.Number != uint64(len(got)) {
				t.Errorf("record %d has number %d", len(got), p.Number)
			}
			got = append(got, bytes.Clone(r))
			return nil
		})
		if err != nil || len(damage) > 0 {
			t.Fatal(err, damage)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("round %d: %d records, want %d", round, len(got), len(want))
		}
		for i := range 50 {
			r := bytes.Repeat([]byte{byte(i)}, i*i*round)
			want = append(want, r)
			add := j.Append
			if i%2 == 0 {
				add = j.AppendUnsynced
			}
			ticket := add(r)
			if again, err := j.Read(ticket.Positions[0]); err != nil || !bytes.Equal(again, r) {
				t.Fatalf("%x, %v", again, err)
			}
			if i%7 == 0 {
				if err := ticket.Wait(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRewrite(t *testing.T) {
	d := Dir(t.TempDir())
	j, _, err := Open(d, testKey, testID, Mark{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		j.Append([]byte{byte(i)})
	}
	if damage, err := j.Rewrite(func(p Position, r []byte) ([]byte, bool) { return r, p.Number%2 == 0 }); err != nil || damage != nil {
		t.Fatal(damage, err)
	}
	j.Append([]byte("after"))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var got []byte
	_, damage, err := Open(d, testKey, testID, Mark{}, func(p Position, r []byte) error {
		got = append(got, r...)
		return nil
	})
	if err != nil || damage != nil {
		t.Fatal(damage, err)
	}
	if len(got) != 55 || string(got[50:]) != "after" || got[49] != 98 {
		t.Fatalf("%q", got)
	}
}
