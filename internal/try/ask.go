package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	echoName = "Echo"
	echoPIN  = "1234"

	noTerminal = "try: the input is no terminal: its first line is taken for your name, the second for a PIN, the others for commands."
	welcome    = "A trial of Sinete on this machine alone: a relay, a card for you in a file, and somebody to talk to, who echoes."
	howToLeave = "To leave, type: disconnect"
	farewell   = "\nEverything has ended. %s holds the trial world and the logs; make clean removes it. Next: make demo, README.md.\n"
)

var errNoInput = errors.New("the input ended before name and PIN were there. Run it in a terminal, or give it lines: name, PIN, commands")

// ask shows a question and takes a line, without what follows it: that is for peer chat.
func (t *trial) ask(question, otherwise string) (string, error) {
	if t.terminal {
		fmt.Print(question)
	}
	var answer []byte
	for b := make([]byte, 1); ; {
		n, err := t.input.Read(b)
		switch {
		case err == io.EOF || err == nil && n == 0:
			return "", errNoInput
		case err != nil:
			return "", err
		case b[0] != '\n':
			answer = append(answer, b[0])
			continue
		}
		if s := strings.TrimSpace(string(answer)); s != "" {
			return s, nil
		}
		return otherwise, nil
	}
}

// nameTrouble says why a name cannot be in a certificate.
func nameTrouble(name string) string {
	switch {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "A name is made of letters that can be printed."
	case utf8.RuneCountInString(name) > 64: // RFC 5280 appendix A.1, ub-common-name
		return "A certificate has room for 64 letters of a name."
	case strings.EqualFold(name, echoName):
		return "That is the other one's name."
	}
	return ""
}

// shown is a command as somebody could type it, without the PINs that nobody types there.
func shown(program string, args []string) string {
	words := []string{"  $", program}
	for _, a := range args {
		if strings.HasPrefix(a, "--pin=") {
			a = "--pin=..."
		}
		a, _, _ = strings.Cut(a, "?pin-")
		if strings.ContainsFunc(a, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_./:=@", r)
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
