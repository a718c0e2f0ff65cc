package wire

import (
	"encoding/binary"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// field is a named value of a vector.
type field struct {
	name  string
	value []byte
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// description lists the primitive values of a structure in the order of its layout.
type description []field

func describe(v any) (d description) {
	switch v := v.(type) {
	case Envelope:
		d.walk("epoch", v.Header.Epoch)
		d.walk("seq", v.Header.Seq)
		d.walk("type", v.Header.Type)
		if v.Header.Type == EnvelopeContent {
			d.walk("label", v.Header.Label)
			d.walk("commitment", v.Header.Commitment)
		}
		if v.Header.Type == EnvelopeTexts {
			d.walk("label", v.Header.Label)
			d.walk("commitments", v.Header.Commitments)
		}
		d.walk("ciphertext", v.Ciphertext)
	case *Content:
		d.walk("parties", v.Parties)
		d.walk("id", v.ID)
		d.walk("time", v.Time)
		d.walk("type", v.Type)
		switch v.Type {
		case ContentText:
			d.walk("number", v.Number)
			d.walk("text", v.Text)
		case ContentMachine, ContentNoticed:
			d.walk("machine", v.Machine)
		}
	case []Content:
		d.walk("count", uint64(len(v)))
		d.walk("parties", v[0].Parties)
		for i, t := range v {
			text := fmt.Sprintf("texts.%d.", i)
			d.walk(text+"id", t.ID)
			d.walk(text+"time", t.Time)
			d.walk(text+"number", t.Number)
			d.walk(text+"text", t.Text)
		}
	case SealFrame:
		d.walk("scheme", v[0].Seal.Scheme)
		d.walk("signature", v[0].Seal.Signature)
		d.walk("time", v[0].Seal.Time)
		d.walk("leaves", v[0].Seal.Leaves)
		d.walk("entries", uint64(len(v)))
		for i, e := range v {
			entry := fmt.Sprintf("entries.%d.", i)
			d.walk(entry+"index", e.Seal.Index)
			d.walk(entry+"salt", e.Seal.Salt)
			d.walk(entry+"path", e.Seal.Path)
			d.walk(entry+"head", e.Head)
		}
	case List, Peers, Connect, Ringing, Refused, Open, Disconnect, Done, Closed, WriteRequest, Bye, GoingAway, OwnLevel:
		d.walk("kind", v.(Control).Append(nil)[0])
		d.walk("", v)
	case *Hello, *Answer, *Proof, *Accept, *HopParameters, *Switched:
		d.walk("", reflect.ValueOf(v).Elem().Interface())
	case uint64, [8]byte, WaitingFor, Alive:
		d.walk("value", v)
	default:
		d.walk("", v)
	}
	return d
}

func (d *description) walk(name string, v any) { d.reflect(name, reflect.ValueOf(v)) }

func (d *description) reflect(name string, v reflect.Value) {
	add := func(b []byte) { *d = append(*d, field{name, b}) }
	switch v.Kind() {
	case reflect.Bool:
		add(number(uint64(appendFlag(nil, v.Bool())[0])))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		add(number(v.Uint()))
	case reflect.String:
		add([]byte(v.String()))
	case reflect.Array:
		b := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(b), v)
		add(b)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			add(v.Bytes())
			return
		}
		if name != "path" && !strings.HasSuffix(name, ".path") { // the length of a path follows from the leaves
			add(number(uint64(v.Len())))
		}
		for i := range v.Len() {
			d.reflect(fmt.Sprintf("%s.%d", name, i), v.Index(i))
		}
	case reflect.Pointer:
		add(number(uint64(appendFlag(nil, !v.IsNil())[0])))
		if !v.IsNil() {
			d.reflect(name, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			inner := join(name, hyphenated(f.Name))
			if f.Anonymous {
				inner = name
			}
			d.reflect(inner, v.Field(i))
		}
	default:
		panic("wire: no description for " + v.Type().String())
	}
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "." + b
}

var hump = regexp.MustCompile(`([a-z])([A-Z])`)

func hyphenated(name string) string { return strings.ToLower(hump.ReplaceAllString(name, "$1-$2")) }
