//go:build cgo

package processtest

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sinete/internal/program"
)

// lines starts somebody's program for a person to read, and waits until the session is open.
func lines(t *testing.T, r *relay, card string) *process {
	t.Helper()
	p := startChat(t, card, nil, lineArgs(r.address, card))
	p.reads("^logged in at ")
	return p
}

// reads waits for a line, passing over others.
func (p *process) reads(pattern string) {
	p.t.Helper()
	_, err := p.Line("a line like "+pattern, regexp.MustCompile(pattern).MatchString)
	must(p.t, err)
}

// ranked makes the card of somebody who has that level under a configuration, and returns their identity.
func ranked(t *testing.T, config, name string, level ...string) (identity string) {
	t.Helper()
	out, err := output(filepath.Join(bin, "testpki"), "card", trial, strings.ToLower(name), "--cn", name)
	must(t, err)
	serial := regexp.MustCompile(`serialNumber +([^ ,]+),`).FindStringSubmatch(out)
	if serial == nil {
		t.Fatalf("no serialNumber in:\n%s", out)
	}
	set := append([]string{filepath.Join(bin, "relay"), "level", "set", "--config", config, serial[1]}, level...)
	_, err = output(set...)
	must(t, err)
	all, err := output(filepath.Join(bin, "relay"), "level", "list", "--config", config)
	must(t, err)
	if identity = regexp.MustCompile(regexp.QuoteMeta(serial[1]) + `@\S+`).FindString(all); identity == "" {
		t.Fatalf("%s has no level in:\n%s", serial[1], all)
	}
	return identity
}

// sendas labels a message below its author's level: both forms of output show it to its reader, and what may not be is refused with the reason.
func TestSendAs(t *testing.T) {
	t.Parallel()
	config := filepath.Join(trial, "labels.toml")
	whole, err := os.ReadFile(filepath.Join(trial, "relay.toml"))
	must(t, err)
	settings := strings.Replace(string(whole), `levels = "levels"`, `levels = "labels.levels"`, 1)
	must(t, os.WriteFile(filepath.Join(trial, "labels.levels"), nil, 0o600))
	must(t, os.WriteFile(config, []byte(settings), 0o600))
	diretora := ranked(t, config, "Diretora", "2", "ops")
	ranked(t, config, "Vera", "2", "ops")
	ranked(t, config, "Sara", "1")
	settings = strings.Replace(settings, "labels_below = []", fmt.Sprintf("labels_below = [%q]", diretora), 1)
	must(t, os.WriteFile(config, []byte(settings), 0o600))

	r := startRelayWith(t, config)
	sara, bruno := login(t, r, soft("sara")), lines(t, r, soft("bruno"))
	d := login(t, r, soft("diretora"))
	toSara, s := connected(t, d, sara, "Diretora", "Sara")
	toBruno := d.idOf("Bruno")
	d.says("connect#" + toBruno)
	d.event("conversation", "state", "open", "id", toBruno)

	d.says("sendas##"+toSara.other+"##1##under ## a label", "send##"+toSara.other+"##at her level", "sendas##"+toSara.other+"##2{ops}##at her level, in so many words")
	for i, want := range []struct {
		text         string
		label        int
		compartments string
	}{{"under ## a label", 1, "[]"}, {"at her level", 2, "[ops]"}, {"at her level, in so many words", 2, "[ops]"}} {
		e := sara.event("message")
		chosen, labelled := e["labelled"]
		compartments, _ := e["compartments"].([]any)
		if !e.Is("message", "id", s.other, "seq", i, "text", want.text, "label", want.label) || fmt.Sprint(compartments) != want.compartments ||
			labelled != (want.label == 1) || labelled && chosen != true {
			t.Errorf("%v, not %+v", e, want)
		}
	}
	for _, stage := range []string{"relay", "peer"} { // one may be for all three
		d.event("receipt", "id", toSara.other, "stage", stage, "seq", 2)
	}
	d.says("sendas##"+toBruno+"##0##under label nothing", "send##"+toBruno+"##at her level")
	bruno.reads(`^\d\d:\d\d Diretora \(\d+\), under label 0: under label nothing$`)
	bruno.reads(`^\d\d:\d\d Diretora \(\d+\): at her level$`)

	for label, text := range map[string]string{
		"3":         "label 3 is not below your level, which is 2{ops}. A label has your rank or less, and compartments of yours only.",
		"1{crypto}": "label 1{crypto} is not below your level, which is 2{ops}. A label has your rank or less, and compartments of yours only.",
		"0":         "the flow policy lets nothing through to them under label 0. send uses your own level, 2{ops}.",
	} {
		d.says("sendas##" + toSara.other + "##" + label + "##refused")
		if e := d.event("refused"); !e.Is("refused", "command", "sendas", "code", "flow-denied", "text", text) {
			t.Errorf("under %s: %v, not %q", label, e, text)
		}
	}

	// Who has no right to it is told where it comes from, in both forms.
	noRight := "the relay gives you no right to label messages below your level. send uses your level. For the right, ask whoever runs the relay: labels_below in its configuration."
	vera := login(t, r, soft("vera"))
	vera.says("connect#Sara", "sendas##Sara##1##refused", "disconnect")
	if e := vera.event("refused"); !e.Is("refused", "command", "sendas", "code", "label-denied", "text", noRight) {
		t.Errorf("without the right: %v", e)
	}
	vera.ends(0)
	vera = lines(t, r, soft("vera"))
	vera.says("connect#Sara", "sendas##Sara##1##refused", "sendas##Sara##1{b,a##refused")
	vera.reads("^refused: " + regexp.QuoteMeta(noRight) + "$")
	vera.reads(`^refused: "1\{b,a" is no level\. `)
	vera.says("send##Sara##at her level")
	var e program.Event
	for e = sara.event("message"); e["text"] == "refused"; e = sara.event("message") {
		t.Errorf("it arrived all the same: %v", e)
	}
	if !e.Is("message", "text", "at her level", "label", 2) {
		t.Errorf("%v", e)
	}
	vera.says("disconnect")
	vera.ends(0)
	bruno.says("disconnect")
	bruno.ends(0)
	sara.leave()
	d.leave()
	r.stop()
}
