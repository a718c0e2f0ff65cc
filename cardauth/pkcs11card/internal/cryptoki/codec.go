package cryptoki

import (
	"errors"
	"io"

	"golang.org/x/crypto/cryptobyte"
)

// MaxFrame bounds a request and a response, in bytes. A token's certificates are the most that is ever in one.
const MaxFrame = 1 << 20

// ErrFrame is what cannot be a request or a response.
var ErrFrame = errors.New("cryptoki: no such frame")

// WriteFrame writes a frame: three bytes of length, big-endian, and that many more.
func WriteFrame(w io.Writer, frame []byte) error {
	if len(frame) > MaxFrame {
		return ErrFrame
	}
	n := len(frame)
	b := append([]byte{byte(n >> 16), byte(n >> 8), byte(n)}, frame...)
	defer clear(b) // there may be a PIN in it
	_, err := w.Write(b)
	return err
}

// ReadFrame reads a frame; io.EOF means that there is none any more.
func ReadFrame(r io.Reader) ([]byte, error) {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	if n > MaxFrame {
		return nil, ErrFrame
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(r, frame); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return frame, nil
}

// Append writes the request down: every field in the order of the struct. Numbers have 8 bytes, booleans one, and bytes and
// lists three of length before them. It fails where a field is too long.
func (r *Request) Append(b []byte) ([]byte, error) {
	w := writer{cryptobyte.NewBuilder(b)}
	w.AddUint8(uint8(r.Op))
	w.numbers(r.Slot, r.Session, r.Object, r.Mechanism)
	w.bools(r.Write, r.PSS, r.Context)
	w.bytes(r.PIN)
	w.bytes(r.Data)
	w.attributes(r.Template)
	w.attributes(r.Private)
	w.list(func(w writer) { w.numbers(r.Types...) })
	return w.Bytes()
}

// ParseRequest reads what Append wrote. The request's bytes are the frame's, so that wiping one wipes the other.
func ParseRequest(frame []byte) (*Request, error) {
	p := parser{s: frame}
	r := &Request{Op: Op(p.byte()), Slot: p.number(), Session: p.number(), Object: p.number(), Mechanism: p.number(),
		Write: p.bool(), PSS: p.bool(), Context: p.bool(), PIN: p.bytes(), Data: p.bytes(),
		Template: p.attributes(), Private: p.attributes(), Types: p.numbers()}
	if p.bad || len(p.s) > 0 || r.Op == 0 || r.Op >= opEnd {
		return nil, ErrFrame
	}
	return r, nil
}

// Append writes the response down as Request.Append does.
func (r *Response) Append(b []byte) ([]byte, error) {
	w := writer{cryptobyte.NewBuilder(b)}
	w.fault(r.Fault)
	w.numbers(r.Handle)
	w.bytes(r.Data)
	w.list(func(w writer) { w.numbers(r.Numbers...) })
	w.list(func(w writer) {
		for _, s := range r.Slots {
			w.numbers(s.ID, s.TokenFlags)
			w.bools(s.Present, s.Unknown)
			for _, text := range []string{s.Reader, s.Label, s.Maker, s.Model, s.Serial} {
				w.bytes([]byte(text))
			}
			w.fault(s.Fault)
		}
	})
	w.list(func(w writer) {
		for _, o := range r.Objects {
			w.numbers(o.Handle)
			w.attributes(o.Attributes)
		}
	})
	for _, text := range []string{r.Info.Description, r.Info.Maker, r.Info.Version} {
		w.bytes([]byte(text))
	}
	return w.Bytes()
}

// ParseResponse reads what Append wrote.
func ParseResponse(frame []byte) (*Response, error) {
	p := parser{s: frame}
	r := &Response{Fault: p.fault(), Handle: p.number(), Data: p.bytes(), Numbers: p.numbers()}
	for slots := p.list(); slots.more(&p); {
		s := Slot{ID: slots.number(), TokenFlags: slots.number(), Present: slots.bool(), Unknown: slots.bool()}
		for _, text := range []*string{&s.Reader, &s.Label, &s.Maker, &s.Model, &s.Serial} {
			*text = string(slots.bytes())
		}
		s.Fault = slots.fault()
		r.Slots = append(r.Slots, s)
	}
	for objects := p.list(); objects.more(&p); {
		r.Objects = append(r.Objects, Object{Handle: objects.number(), Attributes: objects.attributes()})
	}
	r.Info = Info{Description: string(p.bytes()), Maker: string(p.bytes()), Version: string(p.bytes())}
	if p.bad || len(p.s) > 0 {
		return nil, ErrFrame
	}
	return r, nil
}

type writer struct{ *cryptobyte.Builder }

func (w writer) numbers(all ...uint64) {
	for _, n := range all {
		w.AddUint64(n)
	}
}

func (w writer) bools(all ...bool) {
	for _, v := range all {
		var n uint8
		if v {
			n = 1
		}
		w.AddUint8(n)
	}
}

func (w writer) list(f func(writer)) {
	w.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { f(writer{b}) })
}

func (w writer) bytes(v []byte) { w.list(func(w writer) { w.AddBytes(v) }) }

func (w writer) attributes(all []Attribute) {
	w.list(func(w writer) {
		for _, a := range all {
			w.numbers(a.Type)
			w.bools(a.Number)
			w.bytes(a.Value)
		}
	})
}

func (w writer) fault(f *Fault) {
	w.bools(f != nil)
	if f != nil {
		w.bytes([]byte(f.Call))
		w.numbers(uint64(f.Code))
		w.bytes([]byte(f.Text))
	}
}

// parser remembers that something was wrong, so that it is asked once.
type parser struct {
	s   cryptobyte.String
	bad bool
}

func (p *parser) byte() (v uint8) {
	p.bad = !p.s.ReadUint8(&v) || p.bad
	return v
}

func (p *parser) bool() bool {
	v := p.byte()
	p.bad = v > 1 || p.bad
	return v == 1
}

func (p *parser) number() (v uint64) {
	p.bad = !p.s.ReadUint64(&v) || p.bad
	return v
}

func (p *parser) bytes() []byte {
	var v cryptobyte.String
	p.bad = !p.s.ReadUint24LengthPrefixed(&v) || p.bad
	if len(v) == 0 {
		return nil
	}
	return v
}

func (p *parser) list() *parser { return &parser{s: p.bytes()} }

// more reports whether there is one more in the list, and tells outer where one could not be read.
func (p *parser) more(outer *parser) bool {
	outer.bad = outer.bad || p.bad
	return !outer.bad && len(p.s) > 0
}

func (p *parser) numbers() (all []uint64) {
	for l := p.list(); l.more(p); {
		all = append(all, l.number())
	}
	return all
}

func (p *parser) attributes() (all []Attribute) {
	for l := p.list(); l.more(p); {
		a := Attribute{Type: l.number(), Number: l.bool(), Value: l.bytes()}
		l.bad = l.bad || a.Number && len(a.Value) != 8
		all = append(all, a)
	}
	return all
}

func (p *parser) fault() *Fault {
	if !p.bool() {
		return nil
	}
	return &Fault{Call: string(p.bytes()), Code: Code(p.number()), Text: string(p.bytes())}
}
