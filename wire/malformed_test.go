package wire

import "slices"

// malformedCase is bytes that a parser must refuse, one fault in each.
type malformedCase struct {
	structure, name string
	bytes           []byte
	reason          string // part of the error's text, so that each case is refused for its own fault
}

// code is malformed but for the one limit that a few bytes can break.
func (m malformedCase) code() Code {
	if m.name == "body-too-long" {
		return CodeLimitExceeded
	}
	return CodeMalformed
}

// with returns a changed copy.
func with[T any](v T, change func(*T)) *T {
	change(&v)
	return &v
}

// put overwrites bytes at a place, insert pushes them in.
func put(b []byte, at int, v ...byte) []byte {
	return append(append(slices.Clone(b[:at]), v...), b[at+len(v):]...)
}
func insert(b []byte, at int, v ...byte) []byte { return slices.Insert(slices.Clone(b), at, v...) }
func cut(b []byte, at, n int) []byte            { return slices.Delete(slices.Clone(b), at, at+n) }

func short(b []byte) []byte { return b[:len(b)-1] }

func helloWith(change func(*Hello)) []byte { return with(*hellos[1].value, change).Append(nil) }

func answerWith(change func(*Answer)) []byte { return with(*answers[0].value, change).Append(nil) }

func switchedWith(lanes ...LaneEnd) []byte {
	return (&Switched{Epoch: 1, Lanes: lanes, MAC: data32("mac")}).Append(nil)
}

func manyLanes(n int) (lanes []LaneEnd) {
	for i := range n {
		lanes = append(lanes, LaneEnd{uint64(i), 1})
	}
	return lanes
}

func envelopeWith(change func(*Header)) []byte {
	return append(with(envelopes[0].value.Header, change).Append(nil), data("ciphertext", 16)...)
}

// textsEnvelopeWith is a texts envelope with a ciphertext of n bytes.
func textsEnvelopeWith(seq uint64, label Level, commitments, n int) []byte {
	h := textsHeader(seq, label, commitments)
	return append(h.Append(nil), data("ciphertext", n)...)
}

// textsWith gives two texts that somebody changed.
func textsWith(change func(first, second *Content)) []byte {
	t := slices.Clone(severalTexts[0].value)
	change(&t[0], &t[1])
	return appendCountedTexts(t, nil)
}

func contentWith(change func(*Content)) []byte { return with(*contents[0].value, change).Append(nil) }

func levelWith(compartments ...string) []byte {
	return WriteRequest{1, data16("conversation"), Level{1, compartments}}.Append(nil)
}

func entryWith(change func(*PeerEntry)) []byte {
	return Peers{Entries: []PeerEntry{*with(entry, change)}}.Append(nil)
}

func delegationFor(purposes uint16) []byte {
	return with(delegations[0].value, func(d *Delegation) { d.Purposes = purposes }).Append(nil)
}

func sealFrameWith(change func(*Seal)) []byte {
	f := sealFrame(1, 0)
	change(&f[0].Seal)
	return f.Append(nil)
}

var malformed = slices.Concat(malformedBasics, malformedHandshake, malformedSeals, malformedEnvelopes, malformedControl)

const (
	tooShort = "too short"
	trailing = "trailing bytes"
	longer   = "shortest form"
	badFlag  = "a flag"
	badOrder = "ascending order"
	badText  = "control characters"
	badCount = "a count of"

	badLength  = "text too long"
	badPurpose = "purposes that do not exist"
)

var malformedBasics = []malformedCase{
	{"varint", "empty", nil, tooShort},
	{"varint", "cut", []byte{0x80, 1, 0}, tooShort},
	{"varint", "trailing", []byte{1, 0}, trailing},
	{"varint", "0-in-2", []byte{0x40, 0}, longer},
	{"varint", "63-in-2", []byte{0x40, 63}, longer},
	{"varint", "16383-in-4", []byte{0x80, 0, 0x3f, 0xff}, longer},
	{"varint", "2^30-1-in-8", []byte{0xc0, 0, 0, 0, 0x3f, 0xff, 0xff, 0xff}, longer},

	{"frame", "type-0", put(bytesOf("frame", "probe"), 0, 0), "unknown type"},
	{"frame", "type-14", put(bytesOf("frame", "probe"), 0, 14), "unknown type"},
	{"frame", "length-too-low", put(bytesOf("frame", "probe"), 1, 7), "length"},
	{"frame", "length-too-high", put(bytesOf("frame", "probe"), 1, 9), "length"},
	{"frame", "length-longer-than-needed", insert(bytesOf("frame", "probe"), 1, 0x40), longer},
	{"frame", "body-too-long", []byte{byte(FrameEnvelope), 0x80, 1, 0, 1}, "65537 bytes"},

	{"probe", "7-bytes", data("nonce", 7), "8 bytes"},
	{"probe", "9-bytes", data("nonce", 9), "8 bytes"},
	{"waiting", "0", []byte{0}, "neither"},
	{"waiting", "3", []byte{3}, "neither"},
	{"waiting", "trailing", []byte{1, 1}, "neither"},
	{"audit-head", "size-0", AuditHead{}.Append(nil), "without records"},
	{"audit-head", "cut", AuditHead{Size: 1}.Append(nil)[:55], tooShort},
	{"audit-head", "trailing", append(AuditHead{Size: 1}.Append(nil), 0), trailing},
	{"alive", "zeros-cut", make([]byte, 31), "32 zeros"},
	{"alive", "zeros-trailing", make([]byte, 33), "32 zeros"},
	{"alive", "a-one", append(make([]byte, 31), 1), "32 zeros"},
	{"rekey-context", "cut", short(bytesOf("rekey-context", "sha256")), tooShort},
	{"rekey-context", "trailing", append(bytesOf("rekey-context", "sha256"), 0), trailing},
	{"rekey-please", "cut", short(bytesOf("rekey-please", "first")), tooShort},
	{"rekey-please", "trailing", append(bytesOf("rekey-please", "first"), 0), trailing},
	{"rekey-please", "epoch-longer-than-needed", insert(bytesOf("rekey-please", "first"), 0, 0x40), longer},
	{"switched", "cut", short(bytesOf("switched", "idle")), tooShort},
	{"switched", "trailing", append(bytesOf("switched", "idle"), 0), trailing},
	{"switched", "count-too-high", put(bytesOf("switched", "idle"), 1, 1), tooShort},
	{"switched", "epoch-longer-than-needed", insert(bytesOf("switched", "idle"), 0, 0x40), longer},
	{"switched", "a-lane-without-envelopes", switchedWith(LaneEnd{0, 0}), "without envelopes"},
	{"switched", "unsorted", switchedWith(LaneEnd{5, 1}, LaneEnd{1, 1}), badOrder},
	{"switched", "a-lane-twice", switchedWith(LaneEnd{5, 1}, LaneEnd{5, 1}), badOrder},
	{"switched", "257-lanes", switchedWith(manyLanes(MaxSwitchedLanes + 1)...), "too many lanes"},
	{"machine", "trailing", append(bytesOf("machine", "ok"), 0), trailing},
	{"machine", "cut", bytesOf("machine", "ok")[:63], tooShort},
}

var malformedHandshake = []malformedCase{
	{"hello", "no-version", helloWith(func(h *Hello) { h.Versions = nil }), badCount},
	{"hello", "versions-unsorted", helloWith(func(h *Hello) { h.Versions = []uint16{2, 1} }), badOrder},
	{"hello", "version-twice", helloWith(func(h *Hello) { h.Versions = []uint16{1, 1} }), badOrder},
	{"hello", "kind-0", helloWith(func(h *Hello) { h.Kind = 0 }), "no such kind"},
	{"hello", "kind-5", helloWith(func(h *Hello) { h.Kind = 5 }), "no such kind"},
	{"hello", "no-suite", helloWith(func(h *Hello) { h.Suites = nil }), badCount},
	{"hello", "suites-unsorted", helloWith(func(h *Hello) { h.Suites = []Suite{3, 1} }), badOrder},
	{"hello", "suite-twice", helloWith(func(h *Hello) { h.Suites = []Suite{1, 1} }), badOrder},
	{"hello", "no-share", helloWith(func(h *Hello) { h.Shares = nil }), badCount},
	{"hello", "shares-unsorted", helloWith(func(h *Hello) { h.Shares = []Share{{0x1d, []byte{1}}, {0x17, []byte{2}}} }), badOrder},
	{"hello", "share-twice", helloWith(func(h *Hello) { h.Shares = []Share{{0x1d, []byte{1}}, {0x1d, []byte{2}}} }), badOrder},
	{"hello", "no-certificate", helloWith(func(h *Hello) { h.Chain = nil }), badCount},
	{"hello", "empty-certificate", helloWith(func(h *Hello) { h.Chain = [][]byte{{}} }), "a certificate of"},
	{"hello", "6-certificates", helloWith(func(h *Hello) { h.Chain = many(MaxChain+1, 1) }), badCount},
	{"hello", "more-staples-than-certificates", helloWith(func(h *Hello) { h.Chain, h.Staples = many(2, 1), many(3, 1) }), badCount},
	{"hello", "last-staple-empty", helloWith(func(h *Hello) { h.Chain, h.Staples = many(2, 1), [][]byte{{1}, nil} }), "a last staple"},
	{"hello", "only-staple-empty", helloWith(func(h *Hello) { h.Staples = [][]byte{nil} }), "a last staple"},
	{"hello", "9-versions", helloWith(func(h *Hello) { h.Versions = []uint16{1, 2, 3, 4, 5, 6, 7, 8, 9} }), badCount},
	{"hello", "17-suites", helloWith(func(h *Hello) { h.Suites = suites(MaxSuites + 1) }), badCount},
	{"hello", "5-shares", helloWith(func(h *Hello) { h.Shares = []Share{{1, nil}, {2, nil}, {3, nil}, {4, nil}, {5, nil}} }), badCount},
	{"hello", "delegation-flag-2", put(bytesOf("hello", "conversation-delegated"), 142, 2), badFlag},
	{"hello", "delegation-delegates", helloWith(func(h *Hello) {
		h.Delegation = &SealedDelegation{delegations[0].value.Append(nil), sampleSeal("x", SchemeP256, 1, 0)}
		h.Delegation.Statement[33] |= 1 << PurposeDelegation
	}), "delegates further"},
	{"hello", "delegation-for-unknown-purpose", helloWith(func(h *Hello) {
		h.Delegation = &SealedDelegation{delegations[0].value.Append(nil), sampleSeal("x", SchemeP256, 1, 0)}
		h.Delegation.Statement[33] |= 1 << 5
	}), badPurpose},
	{"hello", "delegation-with-trailing-byte", helloWith(func(h *Hello) {
		h.Delegation = &SealedDelegation{append(delegations[0].value.Append(nil), 0), sampleSeal("x", SchemeP256, 1, 0)}
	}), trailing},
	{"hello", "cut-in-limits", short(helloWith(func(h *Hello) { h.Context = nil })), tooShort},

	{"answer", "no-suite", answerWith(func(a *Answer) { a.Suites = nil }), badCount},
	{"answer", "suites-unsorted", answerWith(func(a *Answer) { a.Suites = []Suite{2, 1} }), badOrder},
	{"answer", "no-certificate", answerWith(func(a *Answer) { a.Chain = nil }), badCount},
	{"answer", "17-suites", answerWith(func(a *Answer) { a.Suites = suites(MaxSuites + 1) }), badCount},
	{"answer", "more-staples-than-certificates", answerWith(func(a *Answer) { a.Staples = many(2, 1) }), badCount},
	{"answer", "last-staple-empty", answerWith(func(a *Answer) { a.Staples = [][]byte{nil} }), "a last staple"},
	{"answer", "delegation-flag-2", put(bytesOf("answer", "hop"), len(bytesOf("answer", "hop"))-1, 2), badFlag},
	{"answer", "trailing", append(bytesOf("answer", "hop"), 0), trailing},

	{"proof", "delegation-flag-2", put(bytesOf("proof", "sha384"), 100, 2), badFlag},
	{"proof", "mac-longer-than-its-bytes", put(bytesOf("proof", "sha384"), 101, 49), tooShort},
	{"proof", "trailing", append(bytesOf("proof", "sha384"), 0), trailing},
	{"accept", "parameters-longer-than-their-bytes", put(bytesOf("accept", "hop"), 0, 1), tooShort},
	{"accept", "trailing", append(bytesOf("accept", "hop"), 0), trailing},

	{"hop-parameters", "compartments-unsorted", with(*hopParameters[0].value, func(p *HopParameters) {
		p.Level.Compartments = []string{"ops", "crypto"}
	}).Append(nil), badOrder},
	{"hop-parameters", "control-character", with(*hopParameters[0].value, func(p *HopParameters) { p.Relay = "a\nb" }).Append(nil), badText},
	{"hop-parameters", "no-utf-8", with(*hopParameters[0].value, func(p *HopParameters) { p.Relay = "a\xff" }).Append(nil), badText},
	{"hop-parameters", "name-of-201", (&HopParameters{Relay: text(MaxName + 1)}).Append(nil), badLength},
	{"hop-parameters", "17-compartments", (&HopParameters{Level: Level{1, compartments(MaxCompartments + 1)}}).Append(nil), badCount},
	{"conversation-parameters", "trailing", append(bytesOf("conversation-parameters", "ok"), 0), trailing},
	{"conversation-parameters", "cut", bytesOf("conversation-parameters", "ok")[:11], tooShort},
	{"hop-context", "delete-character", HopContext{Relay: "a\x7f"}.Append(nil), badText},
	{"hop-context", "c1-character", HopContext{Relay: "a\u0085"}.Append(nil), badText},
	{"hop-context", "surrogate", HopContext{Relay: "\xed\xa0\x80"}.Append(nil), badText},
	{"hop-context", "name-of-201", HopContext{Relay: text(MaxName + 1)}.Append(nil), badLength},
	{"hop-context", "trailing", append(bytesOf("hop-context", "ok"), 0), trailing},
	{"conversation-context", "control-character", ConversationContext{Asking: "a\x00", AskedFor: bob}.Append(nil), badText},
	{"conversation-context", "identity-of-201-asking", ConversationContext{Asking: text(MaxIdentity + 1)}.Append(nil), badLength},
	{"conversation-context", "identity-of-201-asked-for", ConversationContext{AskedFor: text(MaxIdentity + 1)}.Append(nil), badLength},
	{"conversation-context", "trailing", append(bytesOf("conversation-context", "ok"), 0), trailing},
}

var malformedSeals = []malformedCase{
	{"seal", "no-signature", with(seals[0].value, func(s *Seal) { s.Signature = nil }).Append(nil), "a signature of"},
	{"seal", "signature-of-1025", with(seals[0].value, func(s *Seal) { s.Signature = data("signature", MaxSignature+1) }).Append(nil), "a signature of"},
	{"seal", "leaves-131072", Seal{Signature: []byte{1}, Leaves: 2 * MaxLeaves, Path: make([][32]byte, MaxPath+1)}.Append(nil), "power of two"},
	{"seal", "leaves-0", put(bytesOf("seal", "one"), 79, 0), "power of two"},
	{"seal", "leaves-3", put(bytesOf("seal", "last-of-eight"), 79, 3), "power of two"},
	{"seal", "index-beyond-leaves", with(seals[1].value, func(s *Seal) { s.Index = 8 }).Append(nil), "beyond the leaves"},
	{"seal", "path-too-long", append(bytesOf("seal", "last-of-eight"), data("node", 32)...), trailing},
	{"seal", "path-too-short", bytesOf("seal", "last-of-eight")[:164], tooShort},
	{"seal-frame", "no-signature", sealFrameWith(func(s *Seal) { s.Signature = nil }), "a signature of"},
	{"seal-frame", "signature-of-1025", sealFrameWith(func(s *Seal) { s.Signature = data("signature", MaxSignature+1) }), "a signature of"},
	{"seal-frame", "no-entry", put(bytesOf("seal-frame", "one")[:81], 80, 0), "no entries"},
	{"seal-frame", "count-too-high", put(bytesOf("seal-frame", "one"), 80, 2), tooShort},
	{"seal-frame", "count-too-low", put(bytesOf("seal-frame", "two-of-four"), 80, 1), trailing},
	{"seal-frame", "count-longer-than-needed", insert(bytesOf("seal-frame", "one"), 80, 0x40), longer},
	{"seal-frame", "index-beyond-leaves", put(bytesOf("seal-frame", "one"), 84, 1), "beyond the leaves"},
	{"seal-frame", "leaves-6", put(bytesOf("seal-frame", "two-of-four"), 79, 6), "power of two"},
	{"seal-frame", "trailing", append(bytesOf("seal-frame", "one"), 0), trailing},
	{"delegation", "delegates", with(delegations[0].value, func(d *Delegation) { d.Purposes |= 1 << PurposeDelegation }).Append(nil), "delegates further"},
	{"delegation", "purpose-0", delegationFor(1 << 0), badPurpose},
	{"delegation", "purpose-5", delegationFor(1 << 5), badPurpose},
	{"delegation", "purpose-15", delegationFor(1 << 15), badPurpose},
	{"delegation", "name-of-201", with(delegations[0].value, func(d *Delegation) { d.Deployment = text(MaxName + 1) }).Append(nil), badLength},
	{"delegation", "control-character", with(delegations[0].value, func(d *Delegation) { d.Deployment = "\t" }).Append(nil), badText},
	{"delegation", "trailing", append(bytesOf("delegation", "ok"), 0), trailing},
	{"head", "role-0", put(bytesOf("head", "both"), 33, 0), "no such role"},
	{"head", "role-3", put(bytesOf("head", "both"), 33, 3), "no such role"},
	{"head", "flags-2", put(bytesOf("head", "acknowledges"), 34, 2), badFlag},
	{"head", "flags-3", put(bytesOf("head", "both"), 34, 3), badFlag},
	{"head", "lane-longer-than-needed", insert(bytesOf("head", "both"), 32, 0x40), longer},
	{"head", "count-longer-than-needed", insert(bytesOf("head", "both"), 36, 0x40), longer},
	{"head", "without-flagged-mine", put(bytesOf("head", "acknowledges"), 34, 1), tooShort},
	{"head", "with-unflagged-mine", put(bytesOf("head", "both"), 34, 0), trailing},
}

var malformedEnvelopes = []malformedCase{
	{"envelope", "type-0", envelopeWith(func(h *Header) { h.Type = 0 }), "unknown type"},
	{"envelope", "type-4", envelopeWith(func(h *Header) { h.Type = 4 }), "unknown type"},
	{"envelope", "type-18", envelopeWith(func(h *Header) { h.Type = 18 }), "unknown type"},
	{"envelope", "epoch-longer-than-needed", insert(bytesOf("envelope", "control"), 0, 0x40), longer},
	{"envelope", "seq-longer-than-needed", insert(bytesOf("envelope", "control"), 1, 0x40), longer},
	{"envelope", "compartments-unsorted", envelopeWith(func(h *Header) { h.Label.Compartments = []string{"b", "a"} }), badOrder},
	{"envelope", "compartment-twice", envelopeWith(func(h *Header) { h.Label.Compartments = []string{"a", "a"} }), badOrder},
	{"envelope", "17-compartments", envelopeWith(func(h *Header) { h.Label.Compartments = compartments(MaxCompartments + 1) }), badCount},
	{"envelope", "compartment-of-33", envelopeWith(func(h *Header) { h.Label.Compartments = []string{text(MaxCompartment + 1)} }), badLength},
	{"envelope", "ciphertext-of-15", cut(bytesOf("envelope", "control"), 3, 1), "shorter than its tag"},
	{"envelope", "texts-of-0", textsEnvelopeWith(5, secret, 0, 40), badCount},
	{"envelope", "texts-of-1", textsEnvelopeWith(5, secret, 1, 40), badCount},
	{"envelope", "texts-of-65", textsEnvelopeWith(5, Level{}, MaxTexts+1, 40), badCount},
	{"envelope", "texts-cut-in-commitments", short(textsEnvelopeWith(5, secret, 2, 0)), tooShort},
	{"envelope", "texts-ciphertext-of-15", textsEnvelopeWith(5, secret, 2, 15), "shorter than its tag"},
	{"envelope", "texts-compartments-unsorted", textsEnvelopeWith(5, Level{1, []string{"b", "a"}}, 2, 40), badOrder},
	{"envelope", "texts-beyond-the-last-number", textsEnvelopeWith(maxVarint, Level{}, 2, 40), "numbers that no envelope can have"},
	{"content", "type-0", contentWith(func(c *Content) { c.Type = 0 }), "unknown type"},
	{"content", "type-5", contentWith(func(c *Content) { c.Type = 5 }), "unknown type"},
	{"content", "empty-text", contentWith(func(c *Content) { c.Text = "" }), "empty"},
	{"content", "text-no-utf-8", contentWith(func(c *Content) { c.Text = "caf\xe9" }), "no UTF-8"},
	{"content", "number-longer-than-needed", insert(contentWith(func(c *Content) { c.Number = 5 }), 57, 0x40), longer},
	{"content", "bye-trailing", append(bytesOf("content", "bye"), 0), trailing},
	{"content", "machine-control-character", with(*contents[2].value, func(c *Content) { c.Machine.Description = "a\r" }).Append(nil), badText},
	{"content", "machine-description-of-1025", with(*contents[2].value, func(c *Content) { c.Machine.Description = text(MaxDescription + 1) }).Append(nil), badLength},
	{"content", "noticed-trailing", append(bytesOf("content", "noticed"), 0), trailing},
	{"content", "machine-trailing", append(bytesOf("content", "machine"), 0), trailing},
	{"texts", "empty-text", textsWith(func(first, _ *Content) { first.Text = "" }), "empty"},
	{"texts", "last-text-empty", textsWith(func(_, second *Content) { second.Text = "" }), "empty"},
	{"texts", "text-no-utf-8", textsWith(func(first, _ *Content) { first.Text = "caf\xe9" }), "no UTF-8"},
	{"texts", "character-in-two-texts", textsWith(func(first, second *Content) { first.Text, second.Text = "caf\xc3", "\xa9" }), "no UTF-8"},
	{"texts", "number-longer-than-needed", insert(textsWith(func(first, _ *Content) { first.Number = 5 }), 57, 0x40), longer},
	{"texts", "length-longer-than-needed", insert(bytesOf("texts", "two"), 59, 0x40), longer},
	{"texts", "length-too-low", put(bytesOf("texts", "two"), len(bytesOf("texts", "two"))-4, 2), trailing},
	{"texts", "length-too-high", put(bytesOf("texts", "two"), len(bytesOf("texts", "two"))-4, 4), tooShort},
	{"texts", "length-too-high-for-an-address", slices.Replace(bytesOf("texts", "two"), 59, 60, AppendVarint(nil, maxVarint)...), tooShort},
	{"texts", "count-too-low", put(appendCountedTexts(manyTexts(3, 5), nil), 0, 2), trailing},
	{"texts", "count-too-high", put(bytesOf("texts", "two"), 0, 3), tooShort},
	{"texts", "parties-cut", bytesOf("texts", "two")[:32], tooShort},
	{"texts", "second-cut", bytesOf("texts", "two")[:80], tooShort},
	{"texts", "trailing", append(bytesOf("texts", "two"), 0), trailing},
}

var malformedControl = []malformedCase{
	{"control", "empty", nil, tooShort},
	{"control", "kind-0", []byte{0}, "unknown kind"},
	{"control", "kind-14", []byte{14}, "unknown kind"},
	{"control", "list-req-longer-than-needed", []byte{1, 0x40, 1}, longer},
	{"control", "list-trailing", []byte{1, 1, 0}, trailing},
	{"control", "peers-more-2", []byte{2, 1, 2, 0}, badFlag},
	{"control", "peers-count-too-high", put(bytesOf("control", "peers"), 4, 3), tooShort},
	{"control", "peers-count-too-low", put(bytesOf("control", "peers"), 4, 1), trailing},
	{"control", "peers-count-longer-than-needed", []byte{2, 1, 0, 0x40, 0}, longer},
	{"control", "entry-write-flag-2", put(bytesOf("control", "peers"), len(bytesOf("control", "peers"))-1, 2), badFlag},
	{"control", "peers-65-entries", Peers{Entries: slices.Repeat([]PeerEntry{bare}, MaxPeersEntries+1)}.Append(nil), "too many entries"},
	{"control", "entry-id-0", entryWith(func(e *PeerEntry) { e.ID = 0 }), "id of 0"},
	{"control", "entry-control-character", entryWith(func(e *PeerEntry) { e.Name = "\x1b[2J" }), badText},
	{"control", "entry-name-of-201", entryWith(func(e *PeerEntry) { e.Name = text(MaxName + 1) }), badLength},
	{"control", "entry-identity-of-201", entryWith(func(e *PeerEntry) { e.Identity = text(MaxIdentity + 1) }), badLength},
	{"control", "entry-17-compartments", entryWith(func(e *PeerEntry) { e.Level.Compartments = compartments(MaxCompartments + 1) }), badCount},
	{"control", "entry-17-suites", entryWith(func(e *PeerEntry) { e.Suites = suites(MaxSuites + 1) }), badCount},
	{"control", "entry-without-suite", entryWith(func(e *PeerEntry) { e.Suites = nil }), badCount},
	{"control", "connect-id-0", Connect{2, 0, offer}.Append(nil), "id of 0"},
	{"control", "connect-17-suites", Connect{2, 7, suites(MaxSuites + 1)}.Append(nil), badCount},
	{"control", "connect-without-suite", Connect{2, 7, nil}.Append(nil), badCount},
	{"control", "connect-suites-unsorted", Connect{2, 7, []Suite{3, 2}}.Append(nil), badOrder},
	{"control", "refused-with-suites", Refused{2, CodeBusy, offer}.Append(nil), "suites"},
	{"control", "refused-17-suites", Refused{2, CodeSuiteUnsupported, suites(MaxSuites + 1)}.Append(nil), badCount},
	{"control", "refused-without-suites", Refused{2, CodeSuiteUnsupported, nil}.Append(nil), "suites"},
	{"control", "open-id-0", Open{Role: RoleInitiator, Other: *with(entry, func(e *PeerEntry) { e.ID = 0 })}.Append(nil), "id of 0"},
	{"control", "open-role-0", put(bytesOf("control", "open"), 17, 0), "no such role"},
	{"control", "open-role-3", put(bytesOf("control", "open"), 17, 3), "no such role"},
	{"control", "open-may-write-2", put(bytesOf("control", "open"), 18, 2), badFlag},
	{"control", "open-other-may-write-2", put(bytesOf("control", "open"), 19, 2), badFlag},
	{"control", "label-unsorted", levelWith("b", "a"), badOrder},
	{"control", "label-compartment-twice", levelWith("a", "a"), badOrder},
	{"control", "label-17-compartments", levelWith(compartments(MaxCompartments + 1)...), badCount},
	{"control", "label-compartment-of-33", levelWith(text(MaxCompartment + 1)), badLength},
	{"control", "label-compartment-empty", levelWith(""), "compartments not valid"},
	{"control", "label-compartment-upper-case", levelWith("Ops"), "compartments not valid"},
	{"control", "bye-trailing", []byte{0x0b, 0}, trailing},
	{"control", "level-cut", []byte{0x0d, 0, 1, 1}, tooShort},
	{"control", "going-away-cut", []byte{0x0c, 0}, tooShort},
}
