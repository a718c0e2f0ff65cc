package screen

import (
	"bytes"
	"io"
	"strings"
	"sync"

	"sinete/cmd/peer/internal/terminal"
	"sinete/peer/store"
)

// lineScreen writes for people.
type lineScreen struct {
	mu       sync.Mutex
	out, err io.Writer
	colour   bool
	hints    bool // after each command the commands are named
}

func newLines(t *terminal.Terminal) *lineScreen {
	return &lineScreen{out: t.Stdout, err: t.Stderr, colour: t.Colour, hints: t.Input && t.Output}
}

// Escape sequences of the few colours.
const (
	plain  = ""
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
)

func (s *lineScreen) Show(e Event) {
	switch e := e.(type) {
	case Session:
		s.print(plain, SessionLine(e))
	case Peers:
		s.print(plain, peersLines(e)...)
	case Conversation:
		s.print(plain, ConversationLines(e)...)
	case Message:
		s.print(bold, messageLine(e))
	case Receipt:
		s.print(faint, receiptLine(e))
	case State:
		if e.State == store.Failed {
			s.print(red, stateLine(e))
		}
	case Store:
		s.print(plain, storeLines(e)...)
	case HistoryEntry:
		s.print(plain, historyLine(e))
	case HistoryMachine:
		s.print(yellow, historyMachineLine(e))
	case History:
		s.print(faint, historyEnd(e))
	case Checked:
		s.print(plain, checkedLine(e))
	case Done:
		s.print(plain, e.Text)
	case Whois:
		s.print(plain, whoisLines(e)...)
	case Transcript:
		s.print(plain, transcriptLines(e)...)
	case Evidence:
		s.print(plain, evidenceLines(e)...)
	case Fork:
		s.print(plain, forkLines(e)...)
	case Proved:
		s.print(plain, provedLines(e)...)
	case Connected:
		s.print(plain, connectedLines(e)...)
	case Ciphers:
		s.print(plain, ciphersLines(e)...)
	case Menu:
		s.print(plain, menuLines(e)...)
	case Refused:
		s.print(red, refusedLine(e))
	case Warning:
		s.print(yellow, warningLine(e))
	case Reader:
		s.print(plain, readerLines(e)...)
	case Check:
		if e.Remedy == "" {
			s.print(plain, checkLines(e)...)
		} else {
			s.print(yellow, checkLines(e)...)
		}
	case Notice:
		s.print(faint, strings.Split(e.Text, "\n")...)
	case Failure:
		s.write(s.err, plain, failureLines(e))
	}
}

func (s *lineScreen) Finished() {
	if s.hints {
		s.print(faint, menuLines(Menu{Commands: Forms})...)
	}
}

func (s *lineScreen) print(colour string, lines ...string) { s.write(s.out, colour, lines) }

// write writes whole lines at once. Whatever stands in them has been made safe.
func (s *lineScreen) write(w io.Writer, colour string, lines []string) {
	if !s.colour {
		colour = plain
	}
	var b bytes.Buffer
	for _, l := range lines {
		b.WriteString(colour)
		b.WriteString(Safe(l))
		if colour != plain {
			b.WriteString("\x1b[0m")
		}
		b.WriteByte('\n')
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = w.Write(b.Bytes()) // a reader that went away wants nothing more
}

func firstCells(rows [][]string) []string {
	var cells []string
	for _, r := range rows {
		cells = append(cells, r[0])
	}
	return cells
}

// columns aligns cells, two blanks between them.
func columns(rows [][]string) []string {
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var lines []string
	for _, r := range rows {
		var b strings.Builder
		for i, cell := range r {
			b.WriteString(cell)
			b.WriteString(strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}
