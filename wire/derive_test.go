package wire

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"
)

// derivations computes, for each kind of vector that is no structure, what must come out from what goes in. Those of texts are in texts_test.go.
var derivations = map[string]func(in *inputs) []field{
	"transcript-hashes": func(in *inputs) []field {
		hello, answer, proof, accept := in.take("hello"), in.take("answer"), in.take("proof"), in.take("accept")
		h, err1 := ParseHello(hello)
		a, err2 := ParseAnswer(answer)
		p, err3 := ParseProof(proof)
		c, err4 := ParseAccept(accept)
		for _, err := range []error{err1, err2, err3, err4} {
			if err != nil {
				in.err = err
				return nil
			}
		}
		newHash := hashOf(a.Suite)
		th2 := TH2(newHash(), h.Kind, hello, answer)
		th3 := TH3(newHash(), h.Kind, th2, proof, c.Parameters)
		th := TH(newHash(), h.Kind, th3, c.Seal.Append(nil), c.MAC)
		inForce := h.Delegation
		if p.Delegation != nil {
			inForce = p.Delegation
		}
		channel := ChannelID(th)
		return []field{{"th2", th2}, {"th3", th3}, {"th", th}, {"channel-id", channel[:]},
			{"mac-input-of-proof", MACInput(th2, h.Chain[0], p.Seal, inForce)},
			{"mac-input-of-accept", MACInput(th3, a.Chain[0], c.Seal, a.Delegation)}}
	},
	"signer": func(in *inputs) []field {
		return hashField("signer", SignerHash(in.take("certificate"), in.take("delegation")))
	},
	"seal-input": func(in *inputs) []field {
		s := SealInput{in.hash("signer"), in.number("time"), uint32(in.number("leaves")), in.hash("root")}
		return []field{{"signed", s.Append(nil)}}
	},
	"tree": tree,
	"digests": func(in *inputs) []field {
		channel, lane, direction := in.hash("channel"), in.number("lane"), Direction(in.number("direction"))
		e, err := ParseEnvelope(in.take("inner-envelope"))
		if err != nil {
			in.err = err
			return nil
		}
		inner := InnerDigest(e.RawHeader, e.Ciphertext)
		around, other, payload := in.take("header-around"), in.take("header-of-other"), in.take("payload-of-other")
		aroundDigest, otherDigest := OuterDigestOfInner(around, inner), OuterDigest(other, payload)
		return []field{{"associated-data", append(AppendPlace(nil, channel, lane, direction), e.RawHeader...)},
			{"inner-digest", inner[:]}, {"digest-around", aroundDigest[:]}, {"digest-of-other", otherDigest[:]}}
	},
	"transcript": func(in *inputs) []field {
		t := FirstTranscript(in.take("th"), in.number("lane"), Direction(in.number("direction")), in.number("last"), in.hash("t"))
		out := []field{{"transcript", slices.Clone(t[:])}}
		for _, b := range in.all("inner-envelope") {
			e, err := ParseEnvelope(b)
			if err != nil {
				in.err = err
				return nil
			}
			for _, digest := range e.InnerDigests() {
				t = NextTranscript(t, digest)
				out = append(out, field{"transcript", slices.Clone(t[:])})
			}
		}
		return out
	},
	"parties": func(in *inputs) []field {
		author, authorKey := in.take("author"), sha256.Sum256(in.take("author-spki"))
		recipient, recipientKey := in.take("recipient"), sha256.Sum256(in.take("recipient-spki"))
		return hashField("parties", Parties(string(author), authorKey, string(recipient), recipientKey))
	},
	"commitment": func(in *inputs) []field {
		opening, channel, lane, direction := in.hash("opening-key"), in.hash("channel"), in.number("lane"), in.number("direction")
		return hashField("commitment", Commitment(opening, channel, lane, Direction(direction), in.take("header-without-commitment"), in.take("content")))
	},
	"comparison": func(in *inputs) []field {
		channel := in.hash("channel")
		var common [2]Common
		for i := range common {
			common[i] = Common{in.number("count"), in.hash("t")}
		}
		return []field{{"code", []byte(ComparisonCode(channel, common[0], common[1]))}}
	},
	"text-opening":      textOpening,
	"texts-commitments": textsCommitments,
	"texts-digests":     textsDigests,
	"machine-hash": func(in *inputs) []field {
		return hashField("machine-hash", MachineHash(string(in.take("own")), string(in.take("other")), in.take("facts")))
	},
	"receipt": func(in *inputs) []field {
		th, lane, role := in.take("th"), in.number("lane"), Role(in.number("role"))
		flags, epoch := in.number("flags"), in.number("epoch")
		place := func(d Direction, digests [][]byte) Place {
			t := FirstTranscript(th, lane, d, 0, [32]byte{})
			for _, digest := range digests {
				t = NextTranscript(t, [32]byte(digest))
			}
			return Place{epoch, uint64(len(digests)), t}
		}
		mine := place(role.Sends(), in.all("my-digest"))
		h := Head{ChannelID(th), lane, role, nil, place(role.Other().Sends(), in.all("your-digest"))}
		if flags == 1 {
			h.Mine = &mine
		}
		statement := h.Append(nil)
		leaf := leafHash(PurposeHead, in.take("salt"), statement)
		return []field{{"statement", statement}, {"leaf", leaf[:]}}
	},
}

func hashField(name string, h [32]byte) []field { return []field{{name, h[:]}} }

func hashOf(s Suite) func() hash.Hash {
	if s == SuiteX25519MLKEM768AES256GCM {
		return sha512.New384
	}
	return sha256.New
}

// leafHash, nodeHash and tree are written from section 4.2 alone.
func leafHash(purpose Purpose, salt, statement []byte) [32]byte {
	h := sha256.Sum256(statement)
	return sha256.Sum256(slices.Concat([]byte{0, byte(purpose)}, salt, h[:]))
}

func nodeHash(left, right [32]byte) [32]byte {
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

func tree(in *inputs) (out []field) {
	var row [][32]byte
	for in.next("purpose") {
		leaf := leafHash(Purpose(in.number("purpose")), in.take("salt"), in.take("statement"))
		row = append(row, leaf)
		out = append(out, field{"leaf", leaf[:]})
	}
	statements, leaves := len(row), slices.Clone(row)
	for _, p := range in.all("padding") {
		row = append(row, [32]byte(p))
	}
	paths := make([][]byte, statements)
	for height := 0; len(row) > 1; height++ {
		for i := range paths {
			sibling := row[i>>height^1]
			paths[i] = append(paths[i], sibling[:]...)
		}
		var above [][32]byte
		for i := 0; i < len(row); i += 2 {
			above = append(above, nodeHash(row[i], row[i+1]))
		}
		row = above
	}
	root := row[0]
	for i, path := range paths {
		if rootOf(leaves[i], i, path) != root {
			panic("wire: a path that does not lead to its root")
		}
		out = append(out, field{"path", path})
	}
	return append(out, field{"root", root[:]})
}

// rootOf is what a verifier does with a path (section 4.3).
func rootOf(leaf [32]byte, index int, path []byte) [32]byte {
	for ; len(path) > 0; path, index = path[32:], index>>1 {
		if sibling := [32]byte(path[:32]); index&1 == 1 {
			leaf = nodeHash(sibling, leaf)
		} else {
			leaf = nodeHash(leaf, sibling)
		}
	}
	return leaf
}

// derivationCases is what goes into the vectors that are no structures.
func derivationCases() (all []vector) {
	add := func(name, kind, comment string, in ...field) {
		all = append(all, vector{name: name, kind: kind, comment: comment, fields: in})
	}
	for _, c := range []struct {
		name   string
		hello  *Hello
		suite  Suite
		proof  *Proof
		accept *Accept
		answer *SealedDelegation
	}{
		{"hop-sha384", hellos[0].value, SuiteX25519MLKEM768AES256GCM, proofs[0].value, accepts[0].value, nil},
		{"hop-sha256-delegating", hellos[0].value, SuiteX25519AES256GCM, proofs[1].value, accepts[0].value, nil},
		{"conversation-sha384-delegated", hellos[1].value, SuiteX25519MLKEM768AES256GCM, proofs[0].value, accepts[1].value, nil},
		{"conversation-sha256", hellos[1].value, SuiteX25519AES256GCM, proofs[0].value, accepts[1].value, sampleDelegation("bob")},
	} {
		mac := data("mac", hashOf(c.suite)().Size())
		hello, answer, proof, accept := *c.hello, *answers[0].value, *c.proof, *c.accept
		hello.Suites = []Suite{c.suite}
		answer.Suite, answer.Delegation, answer.Suites = c.suite, c.answer, hello.Suites
		if c.suite == SuiteX25519AES256GCM {
			answer.Share = answers[1].value.Share
		}
		proof.MAC, accept.MAC = mac, data("mac of accept", len(mac))
		if hello.Kind == KindConversation && c.answer != nil {
			hello.Delegation = nil
		}
		add("transcript-hashes-"+c.name, "transcript-hashes", "sections 3.7 and 3.9: "+c.name, field{"hello", hello.Append(nil)},
			field{"answer", answer.Append(nil)}, field{"proof", proof.Append(nil)}, field{"accept", accept.Append(nil)})
	}

	certificate := data("certificate", 60)
	add("signer-card", "signer", "section 4.1: a card that seals itself", field{"certificate", certificate}, field{"delegation", nil})
	add("signer-delegated", "signer", "section 4.1: a delegated key", field{"certificate", certificate},
		field{"delegation", sampleDelegation("alice").Statement})
	add("seal-input", "seal-input", "section 4.1: the 154 bytes that are signed", field{"signer", data("signer", 32)},
		field{"time", number(1_790_000_000)}, field{"leaves", number(8)}, field{"root", data("root", 32)})

	for _, n := range []int{1, 2, 3, 5, 8} {
		var in []field
		for i := range n {
			label := string(rune('0' + i))
			purpose, statement := PurposeHead, heads[0].value.Append(nil)
			if i == 1 {
				purpose, statement = PurposeDelegation, sampleDelegation("alice").Statement
			}
			in = append(in, field{"purpose", number(uint64(purpose))}, field{"salt", data("salt "+label, 16)}, field{"statement", statement})
		}
		for p := n; p&(p-1) != 0; p++ {
			in = append(in, field{"padding", data("padding "+string(rune('0'+p)), 32)})
		}
		add("tree-"+string(rune('0'+n)), "tree", "section 4.2: a batch of this many statements", in...)
	}

	outer := func(seq uint64, t EnvelopeType) []byte { return (&Header{Seq: seq, Type: t}).Append(nil) }
	inner := func(seq uint64) []byte {
		h := Header{Seq: seq, Type: EnvelopeContent, Label: secret, Commitment: data32("commitment " + string(rune('0'+seq)))}
		return append(h.Append(nil), data("ciphertext "+string(rune('0'+seq)), 50)...)
	}
	add("digests", "digests", "sections 5.1 and 5.5: an inner envelope, the outer one around it, and one around something else",
		field{"channel", data("channel", 32)}, field{"lane", number(0)}, field{"direction", number(2)}, field{"inner-envelope", inner(3)},
		field{"header-around", outer(70, EnvelopeInner)}, field{"header-of-other", outer(0, EnvelopeControl)}, field{"payload-of-other", List{1}.Append(nil)})
	add("transcript-epoch-0", "transcript", "section 5.5: three inner envelopes in the first epoch", field{"th", data("th", 48)},
		field{"lane", number(0)}, field{"direction", number(1)}, field{"last", number(0)}, field{"t", make([]byte, 32)},
		field{"inner-envelope", inner(0)}, field{"inner-envelope", inner(1)}, field{"inner-envelope", inner(2)})
	add("transcript-texts", "transcript", "sections 5.1 and 5.5: between two other inner envelopes one of two texts", field{"th", data("th", 48)},
		field{"lane", number(0)}, field{"direction", number(1)}, field{"last", number(0)}, field{"t", make([]byte, 32)},
		field{"inner-envelope", inner(0)}, field{"inner-envelope", textsEnvelopeWith(1, secret, 2, 100)}, field{"inner-envelope", inner(3)})
	add("transcript-epoch-1", "transcript", "section 5.5: the start of a second epoch", field{"th", data("th of epoch 1", 32)},
		field{"lane", number(2)}, field{"direction", number(2)}, field{"last", number(3)}, field{"t", data("t", 32)})

	add("parties", "parties", "section 5.4", field{"author", []byte(alice)}, field{"author-spki", data("spki of alice", 91)},
		field{"recipient", []byte(bob)}, field{"recipient-spki", data("spki of bob", 91)})
	h := envelopes[0].value.Header
	for _, c := range contents[:3] {
		add("commitment-"+c.name, "commitment", "section 5.4", field{"opening-key", data("opening key", 32)}, field{"channel", data("channel", 32)},
			field{"lane", number(0)}, field{"direction", number(1)}, field{"header-without-commitment", h.AppendUncommitted(nil)},
			field{"content", c.value.Append(nil)})
	}
	count := func(n uint64) field { return field{"count", number(n)} }
	add("comparison", "comparison", "section 5.8", field{"channel", data("channel", 32)}, count(3), field{"t", data("T of direction 1", 32)},
		count(1<<32), field{"t", data("T of direction 2", 32)})
	add("comparison-closed", "comparison", "section 5.8: nothing came in direction 2", field{"channel", data("channel", 32)}, count(1),
		field{"t", data("T of direction 1", 32)}, count(0), field{"t", make([]byte, 32)})
	add("machine-hash", "machine-hash", "section 7.5", field{"own", []byte(alice)}, field{"other", []byte(bob)}, field{"facts", []byte("Debian 12\namd64")})
	add("machine-hash-no-facts", "machine-hash", "section 7.5", field{"own", []byte(bob)}, field{"other", []byte(alice)}, field{"facts", nil})

	receipt := func(name, comment string, th []byte, lane uint64, role Role, flags uint64, mine, yours int) {
		in := []field{{"th", th}, {"lane", number(lane)}, {"role", number(uint64(role))}, {"flags", number(flags)}, {"epoch", number(0)}}
		for i := range mine {
			in = append(in, field{"my-digest", data("mine "+string(rune('0'+i)), 32)})
		}
		for i := range yours {
			in = append(in, field{"your-digest", data("yours "+string(rune('0'+i)), 32)})
		}
		add(name, "receipt", comment, append(in, field{"salt", data("salt", 16)})...)
	}
	receipt("receipt-h1", "section 6: a relay closes a flight in a hop lane and acknowledges", data("th", 48), 5, RoleResponder, 1, 1, 3)
	receipt("receipt-h2", "section 6: a recipient only acknowledges in a hop lane", data("th", 32), 9, RoleInitiator, 0, 0, 2)
	receipt("receipt-h3", "section 6: a recipient only acknowledges in a conversation", data("th of conversation", 32), 0, RoleResponder, 0, 0, 2)
	receipt("receipt-h3-first", "section 6: a first flight in a conversation, nothing to acknowledge yet", data("th of conversation", 32), 0, RoleInitiator, 1, 2, 0)
	return append(all, textsCases()...)
}
