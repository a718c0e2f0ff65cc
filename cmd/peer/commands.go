package main

import (
	"strconv"
	"strings"

	"sinete/cmd/peer/internal/trouble"
	"sinete/peer"
	"sinete/wire"
)

// command is a line that somebody typed.
type command struct {
	word string
	who  string       // a number, a name or an identity
	all  bool         // disconnect without who
	with []wire.Suite // connect: the suite asked for
	text string       // send and sendas
	file string       // evidence
	// label is that of sendas; nil: the sender's level.
	label *wire.Level
}

// parseCommand reads a line. The error is a *trouble.Problem; the command's word is set even then.
func parseCommand(typed string) (command, error) {
	end := strings.IndexByte(typed, '#')
	if end < 0 {
		return parseBare(strings.TrimSpace(typed))
	}
	c := command{word: strings.TrimSpace(typed[:end])}
	rest := typed[end:]
	switch c.word {
	case "send":
		who, text, ok := strings.Cut(strings.TrimPrefix(rest, "##"), "##")
		c.who, c.text = strings.TrimSpace(who), text
		if !ok || !strings.HasPrefix(rest, "##") || c.who == "" || text == "" {
			return c, badForm(c.word)
		}
	case "sendas":
		parts := strings.SplitN(strings.TrimPrefix(rest, "##"), "##", 3)
		if !strings.HasPrefix(rest, "##") || len(parts) < 3 || strings.TrimSpace(parts[0]) == "" || parts[2] == "" {
			return c, badForm(c.word)
		}
		label, ok := wire.ParseLevel(strings.TrimSpace(parts[1]))
		if !ok {
			return c, badLabel(parts[1])
		}
		c.who, c.label, c.text = strings.TrimSpace(parts[0]), &label, parts[2]
	case "connect":
		who, name, ok := strings.Cut(rest[1:], "##")
		c.who = strings.TrimSpace(who)
		if c.who == "" {
			return c, badForm(c.word)
		}
		if !ok {
			return c, nil
		}
		suite, known := wire.ParseSuite(strings.TrimSpace(name))
		if !known {
			return c, trouble.UnknownSuite(name)
		}
		c.with = []wire.Suite{suite}
	case "disconnect", "whois", "history", "transcript":
		if c.who = strings.TrimSpace(rest[1:]); c.who == "" {
			return c, badForm(c.word)
		}
	case "evidence":
		who, file, ok := strings.Cut(rest[1:], "##")
		if c.who, c.file = strings.TrimSpace(who), strings.TrimSpace(file); !ok || c.who == "" || c.file == "" {
			return c, badForm(c.word)
		}
	case "file":
		return c, notBuiltCommand(c.word)
	default:
		bare, err := parseBare(c.word)
		if err == nil {
			err = badForm(c.word)
		}
		return bare, err
	}
	return c, nil
}

// parseBare takes a word that stands alone, or should.
func parseBare(word string) (command, error) {
	c := command{word: word}
	switch word {
	case "list", "connected", "ciphers", "menu", "help", "level":
		return c, nil
	case "disconnect":
		c.all = true
		return c, nil
	case "connect", "send", "sendas", "whois", "history", "transcript", "evidence":
		return c, badForm(word)
	case "file":
		return c, notBuiltCommand(word)
	}
	c.word = strings.ToValidUTF8(word[:min(len(word), 40)], "")
	return c, unknownCommand(c.word)
}

// find returns whom somebody means by a number, an identity or a name. The error is a *trouble.Problem.
func find(people []peer.Person, who string) (peer.Person, error) {
	var found []peer.Person
	number, isNumber := personNumber(who)
	for _, p := range people {
		switch {
		case p.Identity == who:
			return p, nil
		case isNumber && p.ID == number:
			found = append(found, p)
		case !isNumber && strings.EqualFold(p.Name, who):
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return peer.Person{}, unknownPerson(who)
	case 1:
		return found[0], nil
	}
	return peer.Person{}, ambiguousName(who, found)
}

func personNumber(who string) (uint32, bool) {
	n, err := strconv.ParseUint(who, 10, 32)
	return uint32(n), err == nil
}
