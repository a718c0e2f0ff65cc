package wire

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/vectors again")

const vectorFolder = "testdata/vectors"

// vector is one known answer; testdata/vectors/README.md specifies its file.
type vector struct {
	name    string // of the file, without .txt
	expect  string // ok, or the name of a code
	kind    string
	comment string
	fields  []field // what goes in, then what must come out
}

func (v vector) format() string {
	var b strings.Builder
	fmt.Fprintf(&b, "expect: %s\nkind: %s\ncomment: %s\n", v.expect, v.kind, v.comment)
	for _, f := range v.fields {
		b.WriteString(f.name + ":")
		if len(f.value) > 0 {
			b.WriteString(" " + hex.EncodeToString(f.value))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func parseVector(name, text string) (v vector, err error) {
	v.name = name
	lines := strings.Split(text, "\n")
	if len(lines) < 5 || lines[len(lines)-1] != "" {
		return v, fmt.Errorf("no header, no field, or no end of line at the end")
	}
	for i, header := range []struct {
		name string
		to   *string
	}{{"expect", &v.expect}, {"kind", &v.kind}, {"comment", &v.comment}} {
		value, ok := strings.CutPrefix(lines[i], header.name+": ")
		if !ok {
			return v, fmt.Errorf("line %d is not %s", i+1, header.name)
		}
		*header.to = value
	}
	for _, line := range lines[3 : len(lines)-1] {
		name, value, ok := strings.Cut(line, ":")
		b, err := hex.DecodeString(strings.TrimPrefix(value, " "))
		if !ok || err != nil {
			return v, fmt.Errorf("no field of hexadecimal digits: %q", line)
		}
		v.fields = append(v.fields, field{name, b})
	}
	return v, nil
}

// run computes what must come out and returns it with the fields that were not taken as input.
func (v vector) run() (out, rest []field, err error) {
	in := &inputs{fields: v.fields}
	compute, ok := derivations[v.kind]
	if !ok {
		compute, ok = schedules[v.kind]
	}
	if ok {
		out = compute(in)
	} else if i := slices.IndexFunc(structures, func(s structure) bool { return s.name == v.kind }); i >= 0 {
		var value any
		if value, _, err = structures[i].reencode(in.take("bytes")); err == nil {
			out = describe(value)
		}
	} else {
		return nil, nil, fmt.Errorf("unknown kind %q", v.kind)
	}
	if in.err != nil {
		return nil, nil, in.err
	}
	return out, in.fields, err
}

// inputs hands out the first fields of a vector one by one.
type inputs struct {
	fields []field
	err    error
}

func (in *inputs) next(name string) bool { return len(in.fields) > 0 && in.fields[0].name == name }

func (in *inputs) take(name string) []byte {
	if !in.next(name) {
		if in.err == nil {
			in.err = fmt.Errorf("no field %s where it should stand", name)
		}
		return nil
	}
	v := in.fields[0].value
	in.fields = in.fields[1:]
	return v
}

func (in *inputs) all(name string) (v [][]byte) {
	for in.next(name) {
		v = append(v, in.take(name))
	}
	return v
}

func (in *inputs) number(name string) (n uint64) {
	b := in.take(name)
	if len(b) != 8 && in.err == nil {
		in.err = fmt.Errorf("%s is no number of 8 bytes", name)
	}
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func (in *inputs) hash(name string) (h [32]byte) {
	b := in.take(name)
	if len(b) != len(h) && in.err == nil {
		in.err = fmt.Errorf("%s is no 32 bytes", name)
	}
	copy(h[:], b)
	return h
}

// TestVectors computes every file of the folder again from its inputs.
func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	made := map[string]vector{}
	for _, v := range vectors() {
		made[v.name] = v
	}
	files, err := os.ReadDir(vectorFolder)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, f := range files {
		name, isVector := strings.CutSuffix(f.Name(), ".txt")
		if !isVector {
			if f.Name() != "README.md" {
				t.Errorf("an unknown file: %s", f.Name())
			}
			continue
		}
		read++
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(vectorFolder, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			checkVector(t, name, string(text))
			v, ok := made[name]
			if !ok {
				t.Fatal("an unknown file: no case makes it")
			}
			if v.format() != string(text) {
				t.Error("the case that made this file is another now")
			}
		})
		delete(made, name)
	}
	if read == 0 {
		t.Fatal("no files")
	}
	for name := range made {
		t.Errorf("no file for %s", name)
	}
}

func checkVector(t *testing.T, name, text string) {
	t.Helper()
	v, err := parseVector(name, text)
	if err != nil {
		t.Fatal(err)
	}
	out, rest, err := v.run()
	got := "ok"
	if err != nil {
		got = CodeOf(err).String()
	}
	if got != v.expect {
		t.Fatalf("expect: %s, got %s (%v)", v.expect, got, err)
	}
	if len(out) != len(rest) {
		t.Fatalf("%d fields come out, the file has %d", len(out), len(rest))
	}
	for i, f := range out {
		if f.name != rest[i].name || !bytes.Equal(f.value, rest[i].value) {
			t.Errorf("field %d comes out as %s: %x, the file has %s: %x", i, f.name, f.value, rest[i].name, rest[i].value)
		}
	}
}

// TestDamagedVectorIsNoticed shows that the check above can fail.
func TestDamagedVectorIsNoticed(t *testing.T) {
	for _, v := range vectors() {
		if v.expect != "ok" {
			continue
		}
		last := &v.fields[len(v.fields)-1]
		if len(last.value) == 0 {
			continue
		}
		last.value = slices.Clone(last.value)
		last.value[len(last.value)-1] ^= 1
		out, rest, err := v.run()
		if err == nil && bytes.Equal(out[len(out)-1].value, rest[len(rest)-1].value) {
			t.Errorf("%s: nobody notices a flipped bit in %s", v.name, last.name)
		}
	}
}

func writeVectors(t *testing.T) {
	old, err := filepath.Glob(filepath.Join(vectorFolder, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range vectors() {
		if err := os.WriteFile(filepath.Join(vectorFolder, v.name+".txt"), []byte(v.format()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// vectors makes all cases: a structure's from its samples and faults, a derivation's from derivationCases and scheduleCases.
func vectors() (all []vector) {
	finish := func(v vector) {
		out, rest, err := v.run()
		if v.expect == "ok" && err != nil || len(rest) > 0 {
			panic(fmt.Sprintf("%s: %v, %d fields left over", v.name, err, len(rest)))
		}
		v.fields = append(slices.Clip(v.fields), out...)
		all = append(all, v)
	}
	for _, s := range structures {
		for _, v := range s.samples {
			finish(vector{s.name + "-ok-" + fileName(v.name), "ok", s.name, "a " + s.name + ": " + v.name, []field{{"bytes", v.bytes}}})
		}
	}
	for _, m := range malformed {
		finish(vector{m.structure + "-bad-" + fileName(m.name), m.code().String(), m.structure, m.name, []field{{"bytes", m.bytes}}})
	}
	for _, v := range slices.Concat(derivationCases(), scheduleCases()) {
		v.expect = "ok"
		finish(v)
	}
	return all
}

func fileName(s string) string { return strings.ReplaceAll(s, "^", "") }
