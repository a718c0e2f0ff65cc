package wire

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func textOpening(in *inputs) (out []field) {
	opening := in.hash("opening-key")
	for in.next("index") {
		key := TextOpening(&opening, int(in.number("index")))
		out = append(out, field{"opening-key-of-text", key[:]})
	}
	return out
}

// textsCommitments is what a recipient of texts checks: the commitments in the header are those of the contents.
func textsCommitments(in *inputs) (out []field) {
	opening, channel, lane, direction := in.hash("opening-key"), in.hash("channel"), in.number("lane"), Direction(in.number("direction"))
	e, err := ParseEnvelope(append(bytes.Clone(in.take("header")), make([]byte, MinCiphertext)...))
	if err != nil {
		in.err = err
		return nil
	}
	texts, err := ParseTexts(in.take("texts"), e.Header.Envelopes())
	if err != nil {
		in.err = err
		return nil
	}
	for i := range texts {
		h, content, key := e.Header.At(i), texts[i].Append(nil), TextOpening(&opening, i)
		uncommitted := h.AppendUncommitted(nil)
		commitment := Commitment(key, channel, lane, direction, uncommitted, content)
		if commitment != h.Commitment {
			in.err = errors.New("a header with another commitment")
		}
		out = append(out, field{"header-without-commitment", uncommitted}, field{"content", content},
			field{"opening-key-of-text", key[:]}, field{"commitment", commitment[:]})
	}
	return out
}

func textsDigests(in *inputs) []field {
	channel, lane, direction := in.hash("channel"), in.number("lane"), Direction(in.number("direction"))
	inner, err := ParseEnvelope(in.take("inner-envelope"))
	if err != nil {
		in.err = err
		return nil
	}
	around, err := ParseEnvelope(append(bytes.Clone(in.take("header-around")), make([]byte, MinCiphertext)...))
	if err != nil {
		in.err = err
		return nil
	}
	out := []field{{"associated-data", append(AppendPlace(nil, channel, lane, direction), inner.RawHeader...)}}
	for i, digest := range inner.InnerDigests() {
		of, outer := inner.Header.At(i), around.Header
		outer.Seq += uint64(i)
		header := outer.Append(nil)
		aroundDigest := OuterDigestOfInner(header, digest)
		out = append(out, field{"header-of-one", of.Append(nil)}, field{"inner-digest", digest[:]},
			field{"header-around-one", header}, field{"digest-around", aroundDigest[:]})
	}
	return out
}

// textsCases is what goes into the vectors of several texts in one envelope that are no structures.
func textsCases() (all []vector) {
	place := []field{{"channel", data("channel", 32)}, {"lane", number(0)}, {"direction", number(2)}}
	add := func(name, kind, comment string, in ...field) {
		all = append(all, vector{name: name, kind: kind, comment: comment, fields: in})
	}
	add("text-opening", "text-opening", "section 5.3", field{"opening-key", data("opening key", 32)},
		field{"index", number(0)}, field{"index", number(1)}, field{"index", number(MaxTexts - 1)})

	opening := data32("opening key")
	for _, c := range []struct {
		name, comment string
		seq           uint64
		label         Level
		texts         []Content
	}{
		{"two", "section 5.4: two texts", 5, secret, severalTexts[0].value},
		{"longer-seq", "section 5.4: the second text has a longer number than the first", 1<<14 - 1, Level{}, manyTexts(2, 3)},
		{"longest-label", "section 5.4: three texts under the longest label", 0, largest, manyTexts(3, 1)},
	} {
		h := textsHeader(c.seq, c.label, len(c.texts))
		for i := range c.texts {
			one := h.At(i)
			h.Commitments[i] = Commitment(TextOpening(&opening, i), data32("channel"), 0, 2, one.AppendUncommitted(nil), c.texts[i].Append(nil))
		}
		in := append([]field{{"opening-key", opening[:]}}, place...)
		add("texts-commitments-"+c.name, "texts-commitments", c.comment,
			append(in, field{"header", h.Append(nil)}, field{"texts", AppendTexts(nil, c.texts)})...)
	}

	for _, c := range []struct {
		name, comment string
		seq, around   uint64
		label         Level
		count         int
	}{
		{"two", "sections 5.1 and 5.5: an inner envelope of two texts and the outer one around it", 5, 70, secret, 2},
		{"longer-seq", "sections 5.1 and 5.5: the numbers become longer within one envelope", 62, 1<<14 - 1, Level{}, 3},
		{"longest-label", "sections 5.1 and 5.5: three texts under the longest label", 0, 1, largest, 3},
	} {
		around := Header{Epoch: 1, Seq: c.around, Type: EnvelopeInner}
		in := append([]field{}, place...)
		add("texts-digests-"+c.name, "texts-digests", c.comment,
			append(in, field{"inner-envelope", textsEnvelopeWith(c.seq, c.label, c.count, 100)}, field{"header-around", around.Append(nil)})...)
	}
	return all
}

// checkStandsFor checks that an envelope that was read stands for envelopes that can be read, each with its own number and digest.
func checkStandsFor(t *testing.T, e Envelope) {
	digests := e.InnerDigests()
	if len(digests) != e.Header.Envelopes() {
		t.Fatalf("%d digests of %d envelopes", len(digests), e.Header.Envelopes())
	}
	if e.Header.Type != EnvelopeTexts {
		if digests[0] != InnerDigest(e.RawHeader, e.Ciphertext) {
			t.Fatal("an envelope that stands for itself has another digest")
		}
		return
	}
	for i, digest := range digests {
		h := e.Header.At(i)
		one, err := ParseEnvelope(append(h.Append(nil), e.Ciphertext...))
		if err != nil {
			t.Fatalf("stands for an envelope that nobody can read: %v", err)
		}
		want := Header{Epoch: e.Header.Epoch, Seq: e.Header.Seq + uint64(i), Type: EnvelopeContent, Label: e.Header.Label, Commitment: e.Header.Commitments[i]}
		if !reflect.DeepEqual(one.Header, want) {
			t.Fatalf("envelope %d is %+v, want %+v", i, one.Header, want)
		}
		if digest != InnerDigest(one.RawHeader, one.Ciphertext) {
			t.Fatalf("envelope %d has another digest than alone", i)
		}
	}
}

// checkContents checks that each of several texts that were read is one that may stand alone.
func checkContents(t *testing.T, texts []Content) {
	for i := range texts {
		alone, err := ParseContent(texts[i].Append(nil))
		if err != nil {
			t.Fatalf("text %d may not stand alone: %v", i, err)
		}
		if !reflect.DeepEqual(*alone, texts[i]) || alone.Parties != texts[0].Parties {
			t.Fatalf("text %d is %+v alone, and here %+v", i, *alone, texts[i])
		}
	}
}

func TestTextsStandForContents(t *testing.T) {
	for _, v := range envelopes {
		t.Run("envelope/"+v.name, func(t *testing.T) { checkStandsFor(t, v.value) })
	}
	for _, v := range severalTexts {
		t.Run("texts/"+v.name, func(t *testing.T) { checkContents(t, v.value) })
	}
}

// TestTextsHaveTheirOwnOpening: whoever is shown the opening key of one text can open no other.
func TestTextsHaveTheirOwnOpening(t *testing.T) {
	opening := data32("opening key")
	found := map[[32]byte]bool{opening: true}
	for i := range MaxTexts {
		key := TextOpening(&opening, i)
		if found[key] {
			t.Fatalf("text %d has the opening key of another", i)
		}
		found[key] = true
	}
	if opening != data32("opening key") {
		t.Error("the key that they are made of was changed")
	}
}

func TestTextsDoNotAlias(t *testing.T) {
	for _, v := range severalTexts {
		b := AppendTexts(nil, v.value)
		texts, err := ParseTexts(b, len(v.value))
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if !reflect.DeepEqual(texts, v.value) {
			t.Errorf("%s changed with the bytes that they were read from", v.name)
		}
	}
}

// The last number of those that an envelope stands for may be the largest there is.
func TestTextsAtTheEndOfNumbers(t *testing.T) {
	for seq, fits := range map[uint64]bool{maxVarint - 1: true, maxVarint: false} {
		h := textsHeader(seq, Level{}, 2)
		if _, err := ParseEnvelope(append(h.Append(nil), make([]byte, MinCiphertext)...)); (err == nil) != fits {
			t.Errorf("two texts from number %d on: %v", seq, err)
		}
	}
}
