package systemtest

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"sinete/peer"
	"sinete/relay"
	"sinete/relay/flow"
	"sinete/wire"
)

var updateMatrix = flag.Bool("update-matrix", false, "write testdata/flow-matrix.txt again")

const (
	rulesFile  = "testdata/flow-rules.txt"
	matrixFile = "testdata/flow-matrix.txt"
)

// matrixLevels are the levels of the matrix, each with its facts: bit 0 is `at least rank 1`, bit 1 `at least rank 2`, bits 2 and 3 the compartments a and b.
var matrixLevels = []struct {
	name  string
	facts uint
}{{"0", 0b0000}, {"1", 0b0001}, {"2", 0b0011}, {"1{a}", 0b0101}, {"1{b}", 0b1001}, {"1{a,b}", 0b1101}, {"2{a}", 0b0111}}

const rankFacts = 0b0011

// published are the rules as they are published, in terms of facts and apart from the relay's code: what the sender may do to the recipient.
var published = map[string]func(sender, recipient uint) bool{
	"no-write-up":   func(s, r uint) bool { return r&rankFacts&^s == 0 }, // nobody above in rank; the rule of the original system
	"no-write-down": func(s, r uint) bool { return s&^r == 0 },           // Bell and LaPadula 1973, *-property: the object dominates the subject
	"equal":         func(s, r uint) bool { return s == r },              // both
}

var matrixPolicies = []string{"no-write-up", "no-write-down", "equal"}

// relation is how a sender's level stands to a recipient's: a row of rulesFile.
type relation struct{ rank, compartments string }

func relationOf(sender, recipient wire.Level) relation {
	lacks := func(a, b wire.Level) bool {
		return slices.ContainsFunc(b.Compartments, func(c string) bool { return !slices.Contains(a.Compartments, c) })
	}
	return relation{[]string{"lower", "same", "higher"}[1+cmp.Compare(sender.Rank, recipient.Rank)],
		map[[2]bool]string{{false, false}: "same", {true, false}: "fewer", {false, true}: "more", {true, true}: "others"}[[2]bool{
			lacks(sender, recipient), lacks(recipient, sender)}]}
}

// openDirections is what rulesFile says: whether a sender may write, by policy and relation.
var openDirections = sync.OnceValue(func() map[string]map[relation]bool {
	b, err := os.ReadFile(rulesFile)
	if err != nil {
		panic(err)
	}
	rules := map[string]map[relation]bool{}
	for line := range strings.Lines(string(b)) {
		cells := strings.Fields(line)
		if cells[0] == "#" {
			continue
		}
		for i, policy := range matrixPolicies {
			if rules[policy] == nil {
				rules[policy] = map[relation]bool{}
			}
			open, known := map[string]bool{"open": true, "closed": false}[cells[2+i]]
			if r := (relation{cells[0], cells[1]}); known {
				rules[policy][r] = open
			}
		}
	}
	return rules
})

func matrixLevel(i int) wire.Level {
	l := wire.Level{}
	name, in, _ := strings.Cut(strings.TrimSuffix(matrixLevels[i].name, "}"), "{")
	l.Rank = uint16(name[0] - '0')
	if in != "" {
		l.Compartments = strings.Split(in, ",")
	}
	return l
}

// rule is one line of the matrix.
type rule struct {
	open, connect bool
	labels        []bool // by level, for an author who may label below their level
}

func ruleOf(policy string, from, to int) rule {
	may := func(from, to int) bool {
		return openDirections()[policy][relationOf(matrixLevel(from), matrixLevel(to))]
	}
	x := rule{open: may(from, to), connect: may(from, to) || may(to, from)}
	for l := range matrixLevels {
		x.labels = append(x.labels, x.open && isBelow(l, from) && may(l, to))
	}
	return x
}

// isBelow reports whether a label of one level is that of an author of the other, or below it.
func isBelow(label, author int) bool {
	r := relationOf(matrixLevel(label), matrixLevel(author))
	return r.rank != "higher" && (r.compartments == "same" || r.compartments == "fewer")
}

func (x rule) line(policy string, from, to int) string {
	var labels []string
	for i, ok := range x.labels {
		if ok {
			labels = append(labels, matrixLevels[i].name)
		}
	}
	word := map[bool]string{true: "yes", false: "no"}
	return fmt.Sprintf("%-14s %-7s %-7s %-8s %-8s %-8s %-10s %-8s %-8s %s", policy, matrixLevels[from].name, matrixLevels[to].name, word[x.connect], word[x.open],
		word[x.connect], word[x.connect], map[bool]string{true: map[bool]string{true: "full", false: "hash"}[x.open], false: "no"}[x.connect], word[x.open],
		strings.Join(labels, " "))
}

const matrixHead = `# Who may do what to whom: one line for each policy, sender's level and recipient's level, made of flow-rules.txt by internal/systemtest/matrix_test.go, which
# holds the running relay against it. rank{compartments}. There is a pair of levels here for each row of flow-rules.txt.
#
# connect    either may ask the other for a conversation
# message    content passes from the sender to the recipient, under the sender's level: this is the direction in flow-rules.txt
# head       acknowledgements pass, from the sender to the recipient
# handshake  its messages pass
# machine    the statement which machine the sender writes from: full with a description, hash without
# list       the sender's list says that they may write there
# labels     under which content passes, of a sender who may label below their own level: the label is theirs or below it (lower or the same in rank, the
#            same or fewer compartments), and flow-rules.txt opens the direction both from the sender's level and from the label. A sender without that
#            right can write under their own level only
#
# policy       sender  recip.  connect  message  head     handshake  machine  list     labels
`

// The rules say what is published, of each relation that two levels can have, and the matrix is made of them.
func TestMatrixIsThatOfTheRules(t *testing.T) {
	met := map[relation]bool{}
	for policy, may := range published {
		if n := len(openDirections()[policy]); n != 12 {
			t.Errorf("%s has %d rules for %s, not 12", rulesFile, n, policy)
		}
		for from, s := range matrixLevels {
			for to, r := range matrixLevels {
				how := relationOf(matrixLevel(from), matrixLevel(to))
				met[how] = true
				open, known := openDirections()[policy][how]
				if !known || open != may(s.facts, r.facts) {
					t.Errorf("%s says of %s and %s, %v: %v, %v", rulesFile, s.name, r.name, how, open, known)
				}
			}
		}
	}
	if len(met) != 12 {
		t.Errorf("the levels of the matrix meet in %d ways, not 12", len(met))
	}
	var b strings.Builder
	b.WriteString(matrixHead)
	for _, policy := range matrixPolicies {
		for from := range matrixLevels {
			for to := range matrixLevels {
				b.WriteString(strings.TrimRight(ruleOf(policy, from, to).line(policy, from, to), " ") + "\n")
			}
		}
	}
	if *updateMatrix {
		must(t, os.WriteFile(matrixFile, []byte(b.String()), 0o644))
	}
	got, err := os.ReadFile(matrixFile)
	must(t, err)
	if string(got) != b.String() {
		t.Errorf("%s is not what the rules make of it", matrixFile)
	}
}

// The relay does what the matrix says, to honest people: each level meets each under each policy.
func TestMatrix(t *testing.T) {
	for _, policy := range matrixPolicies {
		t.Run(policy, func(t *testing.T) {
			set := func(c *relay.Config) { c.Flow, _ = flow.ParsePolicy(policy) }
			simulated(t, set, func(t *testing.T, w *world) {
				var here, there []*peer.Session
				for i := range matrixLevels {
					for _, side := range []*[]*peer.Session{&here, &there} {
						card := w.card(fmt.Sprint("person-", i, "-", len(here)-len(there)))
						w.grants(w.identity(card), matrixLevel(i), false)
						*side = append(*side, w.login(card))
					}
				}
				for i, a := range here {
					for j, b := range there[:i+1] {
						meetByMatrix(t, a, b, ruleOf(policy, i, j), ruleOf(policy, j, i))
						if t.Failed() {
							t.Fatalf("%s and %s", matrixLevels[i].name, matrixLevels[j].name)
						}
					}
				}
			})
		})
	}
}

func meetByMatrix(t *testing.T, a, b *peer.Session, ab, ba rule) {
	if listed(t, a, b).Send != ab.open || listed(t, b, a).Send != ba.open {
		t.Error("the list")
	}
	if !ab.connect {
		_, err := a.Connect(t.Context(), listed(t, a, b).ID, nil)
		refused(t, err, wire.CodeFlowDenied)
		_, err = b.Connect(t.Context(), listed(t, b, a).ID, nil)
		refused(t, err, wire.CodeFlowDenied)
		return
	}
	one, other := connect(t, a, b) // handshake
	directions := []struct {
		from, to *peer.Conversation
		rule     rule
	}{{one, other, ab}, {other, one, ba}}
	for _, d := range directions {
		if d.from.MayWrite != d.rule.open || d.to.OtherMay != d.rule.open {
			t.Error("the ends' view of the direction")
		}
		if m := next[*peer.MachineStatement](t, d.to); (m.Description != "") != d.rule.open {
			t.Errorf("the machine statement: %+v", m)
		}
	}
	for _, d := range directions {
		if d.rule.open {
			talk(t, d.from, d.to, "content") // and heads of the other direction
			continue
		}
		_, err := d.from.Send(t.Context(), "content")
		refused(t, err, wire.CodeFlowDenied)
	}
	must(t, one.Disconnect(t.Context()))
	sessionNext[*peer.Opened](t, a) // one's own
}

// Under which labels an author may write, who has the right to label below their level or has not, in open directions and in closed ones: the relay answers by
// the matrix when asked first, and when content of any kind comes unasked.
func TestMatrixOfLabels(t *testing.T) {
	for _, policy := range matrixPolicies {
		t.Run(policy, func(t *testing.T) {
			set := func(c *relay.Config) { c.Flow, _ = flow.ParsePolicy(policy) }
			simulated(t, set, func(t *testing.T, w *world) {
				var readers []*peer.Session
				for i := range matrixLevels {
					card := w.card(fmt.Sprint("reader-", i))
					w.grants(w.identity(card), matrixLevel(i), false)
					readers = append(readers, w.login(card))
				}
				for i := range matrixLevels {
					for _, right := range []bool{true, false} {
						card := w.card(fmt.Sprintf("author-%d-%v", i, right))
						w.grants(w.identity(card), matrixLevel(i), right)
						author := w.evilPeer(t, card)
						for j, reader := range readers {
							if x := ruleOf(policy, i, j); x.connect {
								labelsByMatrix(t, w, author, reader, i, (i+j)%len(matrixLevels), right, x)
							}
						}
						author.conn.Close(wire.CodeBye)
					}
				}
			})
		})
	}
}

// labelsByMatrix asks for every label, writes under those that may be, and then under one.
func labelsByMatrix(t *testing.T, w *world, author *evil, reader *peer.Session, own, last int, right bool, x rule) {
	t.Helper()
	talk := author.connect(w, reader.Identity())
	at := opened(t, reader)
	may := func(l int) bool { return x.labels[l] && (right || l == own) }
	stated := false // which machine it is, once in a conversation
	for k := range matrixLevels {
		l := (last + k) % len(matrixLevels) // with each reader from another one on, so that a statement comes under each
		author.ask(func(req uint64) wire.Control {
			return wire.WriteRequest{Req: req, Conversation: talk.open.Conversation, Label: matrixLevel(l)}
		})
		number := wire.CodeBye // of the answer
		author.await("an answer", func(a *arrival) bool {
			if a.opened == nil || a.stream != 0 {
				return false
			}
			m, _ := wire.ParseControl(a.opened.Payload)
			d, granted := m.(wire.Done)
			r, denied := m.(wire.Refused)
			number = r.Number
			return granted && d.Req == author.req || denied && r.Req == author.req
		})
		want := wire.CodeFlowDenied
		switch {
		case may(l):
			want = wire.CodeBye
		case x.open && !right && isBelow(l, own): // and that is all there is to say
			want = wire.CodeLabelDenied
		}
		if number != want {
			t.Errorf("%s to %v, label %s, with the right: %v; answer: %v", matrixLevels[own].name, reader.Level(), matrixLevels[l].name, right, number)
		}
		if !may(l) {
			continue
		}
		talk.open.Level = matrixLevel(l)
		talk.say("labelled", forgery{})
		if m := next[*peer.Message](t, at); !m.Label.Equal(matrixLevel(l)) || m.Labelled == (l == own) {
			t.Errorf("label %v, %v, in place of %s", m.Label, m.Labelled, matrixLevels[l].name)
		}
		if stated {
			continue
		}
		stated = true
		statement := wire.Machine{Description: "labelled"}
		talk.put(forgery{}, talk.contentOf(wire.Content{Type: wire.ContentMachine, Machine: statement}).Body)
		talk.close(forgery{})
		if m := next[*peer.MachineStatement](t, at); m.Description != statement.Description {
			t.Errorf("the machine statement %+v", m)
		}
	}
	if may(last) {
		author.ask(func(req uint64) wire.Control { return wire.Disconnect{Req: req, Conversation: talk.open.Conversation} })
		heardNothing(t, at, wire.CodeCut)
		return
	}
	talk.open.Level = matrixLevel(last)
	kinds := []wire.Content{{Type: wire.ContentText, Text: "under a label that may not be"}, {Type: wire.ContentBye},
		{Type: wire.ContentMachine, Machine: wire.Machine{Description: "under a label that may not be"}}}
	talk.put(forgery{}, talk.contentOf(kinds[own%len(kinds)]).Body)
	talk.close(forgery{})
	talk.closed(wire.CodeFlowDenied)
	heardNothing(t, at, wire.CodeFlowDenied)
}
