package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sinete/cmd/peer/internal/screen"
	"sinete/cmd/peer/internal/terminal"
	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/wire"
)

func TestParseCommand(t *testing.T) {
	for typed, want := range map[string]command{
		"list":                             {word: "list"},
		" connected ":                      {word: "connected"},
		"disconnect":                       {word: "disconnect", all: true},
		"disconnect#3":                     {word: "disconnect", who: "3"},
		"connect# 2 ":                      {word: "connect", who: "2"},
		"connect#BI1@a0":                   {word: "connect", who: "BI1@a0"},
		"history#Ana":                      {word: "history", who: "Ana"},
		"transcript#2":                     {word: "transcript", who: "2"},
		"evidence# Rui ##/tmp/a b#c.zip":   {word: "evidence", who: "Rui", file: "/tmp/a b#c.zip"},
		"whois#Ana Gomes":                  {word: "whois", who: "Ana Gomes"},
		"send##2##hello":                   {word: "send", who: "2", text: "hello"},
		"send##2##a##b#c ":                 {word: "send", who: "2", text: "a##b#c "},
		"sendas##2##1{ops,a}##a##b":        {word: "sendas", who: "2", text: "a##b", label: &wire.Level{Rank: 1, Compartments: []string{"a", "ops"}}},
		"sendas## Rui ## 0 ##a":            {word: "sendas", who: "Rui", text: "a", label: &wire.Level{}},
		"send##2####":                      {word: "send", who: "2", text: "##"},
		"connect#2##P256-AES128GCM-SHA256": {word: "connect", who: "2", with: []wire.Suite{wire.SuiteP256AES128GCM}},
	} {
		got, err := parseCommand(typed)
		if err != nil {
			t.Errorf("%q: %v", typed, err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(command{})); d != "" {
			t.Errorf("%q: %s", typed, d)
		}
	}
}

func TestParseCommandRefuses(t *testing.T) {
	for typed, want := range map[string]struct{ word, code string }{
		"connect":                      {"connect", "bad-command"},
		"connect#":                     {"connect", "bad-command"},
		"connect#2##":                  {"connect", "suite-unsupported"},
		"connect#2##ROT13":             {"connect", "suite-unsupported"},
		"disconnect# ":                 {"disconnect", "bad-command"},
		"send#2##x":                    {"send", "bad-command"},
		"send##2":                      {"send", "bad-command"},
		"send##2##":                    {"send", "bad-command"},
		"send####x":                    {"send", "bad-command"},
		"sendas":                       {"sendas", "bad-command"},
		"sendas##2##1":                 {"sendas", "bad-command"},
		"sendas##2##1##":               {"sendas", "bad-command"},
		"sendas####1##x":               {"sendas", "bad-command"},
		"sendas#2##1##x":               {"sendas", "bad-command"},
		"sendas##2####x":               {"sendas", "bad-command"},
		"sendas##2##low##x":            {"sendas", "bad-command"},
		"sendas##2##65536##x":          {"sendas", "bad-command"},
		"sendas##2##1{ops##x":          {"sendas", "bad-command"},
		"sendas##2##1{}##x":            {"sendas", "bad-command"},
		"sendas##2##1{ops,ops}##x":     {"sendas", "bad-command"},
		"send hello":                   {"send hello", "unknown-command"},
		"list#2":                       {"list", "bad-command"},
		"history":                      {"history", "bad-command"},
		"evidence":                     {"evidence", "bad-command"},
		"evidence#2":                   {"evidence", "bad-command"},
		"evidence#2##":                 {"evidence", "bad-command"},
		"evidence####x":                {"evidence", "bad-command"},
		"file##2##x":                   {"file", "not-built"},
		"dance#2":                      {"dance", "unknown-command"},
		"#":                            {"", "unknown-command"},
		strings.Repeat("é", 30):        {strings.Repeat("é", 20), "unknown-command"},
		strings.Repeat("é", 30) + "#2": {strings.Repeat("é", 20), "unknown-command"},
	} {
		got, err := parseCommand(typed)
		if err == nil {
			t.Errorf("%q is taken as %+v", typed, got)
			continue
		}
		if code := trouble.Explain(err).Code; code != want.code || got.word != want.word {
			t.Errorf("%q: %q %s, want %q %s", typed, got.word, code, want.word, want.code)
		}
	}
}

// TestMenu: each form that is explained is a command, and each word that is a command is explained.
func TestMenu(t *testing.T) {
	explained := map[string]bool{}
	for _, form := range screen.Forms {
		typed := strings.NewReplacer("SUITE", wire.SuiteP256AES128GCM.String(), "LEVEL", "1{ops}").Replace(form)
		c, err := parseCommand(typed)
		if err != nil || !strings.Contains(aboutChat, form) {
			t.Errorf("%s: %v", form, err)
		}
		explained[c.word] = true
	}
	for _, word := range []string{"list", "connected", "ciphers", "menu", "help", "level", "disconnect", "connect", "send", "sendas", "whois", "history", "transcript", "evidence"} {
		if !explained[word] {
			t.Errorf("%s is not explained", word)
		}
	}
}

func TestFind(t *testing.T) {
	people := []peer.Person{{ID: 1, Name: "Ana", Identity: "BI1@a"}, {ID: 2, Name: "Rui", Identity: "BI2@a"}, {ID: 12, Name: "ana", Identity: "BI3@a"},
		{ID: 13, Name: "2", Identity: "BI4@a"}}
	for who, id := range map[string]uint32{"1": 1, "12": 12, "rui": 2, "BI3@a": 12, "2": 2} {
		if p, err := find(people, who); err != nil || p.ID != id {
			t.Errorf("%s is %d, %v", who, p.ID, err)
		}
	}
	for who, code := range map[string]string{"Ana": "ambiguous-name", "3": "unknown-peer", "bi3@a": "unknown-peer", "": "unknown-peer"} {
		if p, err := find(people, who); err == nil || trouble.Explain(err).Code != code {
			t.Errorf("%q: %+v, %v", who, p, err)
		}
	}
	if _, err := find(people, "Ana"); !strings.Contains(trouble.Explain(err).Text(), "1 (BI1@a), 12 (BI3@a)") {
		t.Error(trouble.Explain(err).Text())
	}
}

// Show is what peer history does without a further word, so its flags are named where somebody asks about peer history.
func TestHelpOfHistory(t *testing.T) {
	help := func(args ...string) string {
		var out strings.Builder
		(&program{Terminal: terminal.Terminal{Stdout: &out, Stderr: &out}}).run(append(args, "--help"))
		return out.String()
	}
	short := help("history")
	for _, flag := range regexp.MustCompile(`(?m)^ +--[a-z]+`).FindAllString(help("history", "show"), -1) {
		if flag = strings.TrimSpace(flag); !strings.Contains(short, flag) {
			t.Errorf("%s is not in\n%s", flag, short)
		}
	}
}
