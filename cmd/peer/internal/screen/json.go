package screen

import (
	"bytes"
	"encoding/json"
	"io"
	"sync"
)

// jsonScreen writes one object a line.
type jsonScreen struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *jsonScreen) Show(e Event) {
	if e.name() == "" {
		return
	}
	var fields bytes.Buffer
	encoder := json.NewEncoder(&fields)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		panic(err) // events are made of texts and numbers
	}
	line := append([]byte(`{"event":"`+e.name()+`",`), fields.Bytes()[1:]...)
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = s.w.Write(line) // a reader that went away wants nothing more
}

func (*jsonScreen) Finished() {}
