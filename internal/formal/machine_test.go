package formal

import (
	"strings"
	"testing"
	"testing/fstest"
)

const door = `
mod DOOR is
  sorts Part State World .
  ops lock bolt : -> Part .
endm
`

const opens = `
machine door.maude.
property shut "The door stays shut.".
case one.
run => stands(at, door), waits.
goal open(wide), empty.
twin closed.
mutant lock "There is no lock.".
drop lock, bolt.
breaks shut.one.
`

func loadDoor(door, opens string) (*Model, error) {
	return Load(fstest.MapFS{"door.maude": {Data: []byte(door)}, "p.model": {Data: []byte(opens)}}, "p.model")
}

func TestQuestionsOfAMachine(t *testing.T) {
	m, err := loadDoor(door, opens)
	if err != nil {
		t.Fatal(err)
	}
	questions, err := m.Questions(false)
	if err != nil || len(questions) != 3 {
		t.Fatalf("%d questions: %v", len(questions), err)
	}
	const begin = "search [1] in QUESTION : { world stands(at, door) waits } =>* W:World such that "
	const without = "  eq kept(lock) = false .\n  eq kept(bolt) = false .\n"
	for i, want := range []struct {
		search    string
		derivable bool
		mutant    bool
	}{
		{begin + "open(wide, W:World) /\\ empty(W:World) .\n", false, false},
		{begin + "closed(W:World) .\n", true, false},
		{begin + "open(wide, W:World) /\\ empty(W:World) .\n", true, true},
	} {
		q := questions[i]
		if q.Prover != Maude || q.Derivable != want.derivable || !strings.HasPrefix(q.Text, door) || !strings.HasSuffix(q.Text, want.search) ||
			strings.Contains(q.Text, without) != want.mutant || !strings.Contains(q.Text, "including DOOR .") {
			t.Errorf("%s, prover %d, reachable %v:\n%s", q.Name, q.Prover, q.Derivable, q.Text)
		}
	}
	if v := m.Table()[0].Verdict; !strings.HasPrefix(v, "Maude") {
		t.Errorf("the verdict is %q", v)
	}
}

func TestMachinesThatCannotBeUsed(t *testing.T) {
	for _, test := range []struct{ reason, cut, paste string }{
		{"has no module", "mod DOOR is", "fmod DOOR is"},
		{"does not exist", "machine door.maude", "machine gate.maude"},
		{"no such part", "drop lock, bolt", "drop lock, bar"},
		{"not for a machine", "property shut", "rule r: => a.\nproperty shut"},
		{"not for a machine", "twin closed.", "twin closed.\ndef A = b."},
		{"not for a machine", "drop lock, bolt.", "also => a."},
	} {
		m, err := loadDoor(strings.Replace(door, test.cut, test.paste, 1), strings.Replace(opens, test.cut, test.paste, 1))
		if err == nil {
			_, err = m.Questions(false)
		}
		if err == nil || !strings.Contains(err.Error(), test.reason) {
			t.Errorf("%s in place of %s: %v, not %q", test.paste, test.cut, err, test.reason)
		}
	}
}
