// Package screen shows what happens, to people in lines of text and to programs in JSON: New and Screen.Show.
package screen

import "sinete/cmd/peer/internal/terminal"

// Screen is where a form of output puts events. One goroutine may show while another does.
type Screen interface {
	Show(e Event)
	Finished() // a command is done
}

// New shows events as lines of text, or of JSON.
func New(t *terminal.Terminal, json bool) Screen {
	if json {
		return &jsonScreen{w: t.Stdout}
	}
	return newLines(t)
}
