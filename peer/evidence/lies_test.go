package evidence

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"sinete/internal/trialpki"
	"sinete/wire"

	"sinete/internal/judge"
	"sinete/peer/evidence/internal/bundle"
)

// scene is what most lies begin with: ana and rui, and a channel between them.
func scene(t testing.TB, w *trialpki.World, scheme wire.Scheme) *forgery {
	t.Helper()
	f := newForgery(t, w.Card.Certificate)
	ana := f.person(issue(t, w, trialpki.Person{Name: "ana"}), scheme)
	rui := f.person(issue(t, w, trialpki.Person{Name: "rui"}), wire.SchemeP256)
	f.status(w, ana)
	f.converse(ana, rui)
	return f
}

// short is a run that holds.
func short(f *forgery) {
	f.begin(1, wire.Place{Epoch: 2, Count: 7, T: [32]byte{9}})
	f.hidden()
	f.message(5, "one", wire.Level{Rank: 2, Compartments: []string{"crypto", "ops"}})
	f.message(6, "two", wire.Level{})
	f.head()
	f.epoch()
	f.hidden()
	f.head()
	f.receipt(&f.place)
}

// word changes word n, from 0, of the first line that begins so.
func (f *forgery) word(line string, n int, to string) {
	f.t.Helper()
	changed := false
	edit := func(text string) string {
		lines := strings.Split(text, "\n")
		for i, l := range lines {
			if words := strings.Split(l, " "); strings.HasPrefix(l, line) && !changed {
				changed, words[n] = words[n] != to, to
				lines[i] = strings.Join(words, " ")
			}
		}
		return strings.Join(lines, "\n")
	}
	f.definitions, f.runs = edit(f.definitions), edit(f.runs)
	if !changed {
		f.t.Fatalf("no line %q", line)
	}
}

// replace changes what the lines of the runs say.
func (f *forgery) replace(old, to string) {
	f.t.Helper()
	if !strings.Contains(f.runs, old) {
		f.t.Fatalf("nowhere %q", old)
	}
	f.runs = strings.Replace(f.runs, old, to, 1)
}

// lineOf is the first line of the runs that begins so.
func (f *forgery) lineOf(begin string) string {
	_, rest, _ := strings.Cut("\n"+f.runs, "\n"+begin)
	line, _, _ := strings.Cut(rest, "\n")
	return begin + line + "\n"
}

// otherHash is a hash of nothing that there is.
var otherHash = fmt.Sprintf("%x", sha256.Sum256([]byte("nothing that there is")))

// lies are told over what holds otherwise, manifest included. why is what the script says.
var lies = map[string]struct {
	tell func(f *forgery)
	why  string
}{
	"another text":              {func(f *forgery) { short(f); f.files["text-1.txt"] = []byte("One") }, "did not commit to text-1.txt"},
	"another number":            {func(f *forgery) { short(f); f.word("message 1", 2, "6") }, "did not commit"},
	"another id":                {func(f *forgery) { short(f); f.word("message 1", 3, strings.Repeat("0", 32)) }, "did not commit"},
	"another time":              {func(f *forgery) { short(f); f.word("message 1", 4, "0000000000000001") }, "did not commit"},
	"another ciphertext":        {func(f *forgery) { short(f); f.word("message 1", 6, otherHash) }, "the head names another place"},
	"another opening key":       {func(f *forgery) { short(f); f.word("message 1", 7, otherHash) }, "did not commit"},
	"another channel":           {func(f *forgery) { short(f); f.word("channel 1", 2, otherHash) }, "did not commit"},
	"the other direction":       {func(f *forgery) { short(f); f.word("run", 2, "2") }, "did not commit"},
	"people changed over":       {func(f *forgery) { short(f); f.word("channel 1", 3, "2"); f.word("channel 1", 4, "1") }, "did not commit"},
	"another place":             {func(f *forgery) { short(f); f.word("run", 4, "8") }, "the header is of another place"},
	"another epoch":             {func(f *forgery) { short(f); f.word("run", 3, "1") }, "the header is of another place"},
	"another beginning":         {func(f *forgery) { short(f); f.word("run", 5, otherHash) }, "the head names another place"},
	"one withheld":              {func(f *forgery) { short(f); f.replace(f.lineOf("hidden"), "") }, "the header is of another place"},
	"another one hidden":        {func(f *forgery) { short(f); f.word("hidden", 1, otherHash) }, "the head names another place"},
	"another TH":                {func(f *forgery) { short(f); f.word("epoch", 2, otherHash) }, "the head names another place"},
	"an epoch again":            {func(f *forgery) { short(f); f.word("epoch", 1, "2") }, "epochs go upwards"},
	"another epoch's number":    {func(f *forgery) { short(f); f.word("epoch", 1, "4") }, "the head names another place"},
	"another identity":          {func(f *forgery) { short(f); f.word("person 1", 2, f.people[1].Identity) }, "the identity is not the one"},
	"another anchor":            {func(f *forgery) { short(f); f.word("person 1", 5, "2") }, "the identity is not the one"},
	"a certificate left out":    {func(f *forgery) { short(f); f.word("person 2", 4, "3") }, "the certificates were not valid"},
	"a card of two":             {func(f *forgery) { short(f); f.word("person 2", 3, "1") }, "a certificate of two people"},
	"another certificate":       {func(f *forgery) { short(f); f.word("certificate 1", 2, otherHash) }, "cert-1.pem is another certificate"},
	"another's key":             {func(f *forgery) { short(f); f.files["key-1.pem"] = f.files["key-2.pem"] }, "key-1.pem is another key"},
	"another scheme":            {func(f *forgery) { short(f); f.word("seal 1", 3, "0401") }, "the scheme does not fit the key"},
	"another's signature":       {func(f *forgery) { short(f); f.files["seal-1.sig"] = f.files["seal-2.sig"] }, "seal-1.sig does not verify"},
	"other bytes":               {func(f *forgery) { short(f); f.files["seal-1.bin"] = f.files["seal-2.bin"] }, "seal-1.bin is not what this seal signs"},
	"another signer":            {func(f *forgery) { short(f); f.word("seal 1", 2, "2") }, "seal-1.bin is not what this seal signs"},
	"a later seal":              {func(f *forgery) { short(f); f.word("seal 1", 4, "4000000000") }, "seal-1.bin is not what this seal signs"},
	"no power of two":           {func(f *forgery) { short(f); f.word("seal 1", 5, "3") }, "leaves are a power of two"},
	"another root":              {func(f *forgery) { short(f); f.word("seal 1", 6, otherHash) }, "seal-1.bin is not what this seal signs"},
	"another leaf":              {func(f *forgery) { short(f); f.word("head", 2, "3") }, "seal 1 does not cover this statement"},
	"a leaf beyond":             {func(f *forgery) { short(f); f.word("head", 2, "5") }, "an index beyond the leaves"},
	"another salt":              {func(f *forgery) { short(f); f.word("head", 3, strings.Repeat("0", 32)) }, "seal 1 does not cover this statement"},
	"a longer path":             {func(f *forgery) { short(f); f.word("head", 6, otherHash+" "+otherHash) }, "the path does not fit"},
	"another path":              {func(f *forgery) { short(f); f.word("head", 6, otherHash) }, "seal 1 does not cover this statement"},
	"a head as a receipt":       {func(f *forgery) { short(f); f.word("receipt", 0, "head") }, "sealed by somebody else"},
	"a receipt from the author": {func(f *forgery) { short(f); f.replace(f.lineOf("receipt"), "receipt"+f.lineOf("head")[4:]) }, "sealed by somebody else"},
	"a status of the other":     {func(f *forgery) { short(f); f.word("status", 2, "2") }, "not a certificate of this person"},
	"a status of the issuer": {func(f *forgery) { short(f); f.word("status", 3, "2"); f.word("status", 4, "3") },
		"does not say that the certificate was good"},
	"another answer":              {func(f *forgery) { short(f); f.word("status", 5, otherHash) }, "ocsp-1.der is another answer"},
	"a card of two, after a seal": {func(f *forgery) { short(f); f.line("person 3 %s 1 2 3", f.people[0].Identity) }, "a certificate of two people"},
	"a definition in between": {func(f *forgery) {
		short(f)
		f.replace("hidden", f.definitions[strings.Index(f.definitions, "channel"):]+"hidden")
	}, "stands too late"},
	"a line before it is time": {func(f *forgery) { short(f); f.definitions += f.lineOf("hidden") }, "outside a run"},
	"a line that is unknown":   {func(f *forgery) { short(f); f.replace("hidden", "secret") }, "what this is is not known"},
	"a number that is not next": {func(f *forgery) { short(f); f.word("channel 1", 1, "2") },
		"this should be channel 1"},
	"a number not yet defined": {func(f *forgery) { short(f); f.word("run", 1, "2") }, "there is no channel 2"},
	"a word too many":          {func(f *forgery) { short(f); f.replace("\nepoch", " 1\nepoch") }, ""},
	"two spaces":               {func(f *forgery) { short(f); f.replace("hidden ", "hidden  ") }, "one space"},
	"a space at the end":       {func(f *forgery) { short(f); f.replace("\nepoch", " \nepoch") }, "one space"},
	"a tab":                    {func(f *forgery) { short(f); f.replace("hidden ", "hidden\t") }, "ASCII"},
	"a carriage return":        {func(f *forgery) { short(f); f.replace("\nepoch", "\r\nepoch") }, "ASCII"},
	"an empty line":            {func(f *forgery) { short(f); f.replace("\nepoch", "\n\nepoch") }, "one space"},
	"capitals":                 {func(f *forgery) { short(f); f.word("channel 1", 2, fmt.Sprintf("%X", f.channel)) }, "hexadecimal"},
	"a leading zero":           {func(f *forgery) { short(f); f.word("run", 4, "07") }, "a number was expected"},
	"a run without a message": {func(f *forgery) { short(f); f.begin(2, wire.Place{}); f.hidden(); f.head() },
		"shows no message"},
	"an end without a seal": {func(f *forgery) { short(f); f.hidden() }, "no head seals"},
	"no head": {func(f *forgery) { f.begin(1, wire.Place{}); f.message(1, "one", wire.Level{}); f.receipt(nil) },
		"no head seals"},
	"nothing": {func(*forgery) {}, "stands too early"},
	"an empty text": {func(f *forgery) { f.begin(1, wire.Place{}); f.message(1, "", wire.Level{}); f.head() },
		"a text of no or too many bytes"},
	"a text too long": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.message(1, strings.Repeat("x", wire.MaxText+1), wire.Level{})
		f.head()
	}, "a text of no or too many bytes"},
	"a head of another channel": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.message(1, "one", wire.Level{})
		f.channel[0] ^= 1
		f.head()
	}, "the head names another place"},
	"a head of the other role": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.message(1, "one", wire.Level{})
		f.step("head %s", f.sealed(f.author(), wire.Head{Channel: f.channel, Role: 2, Mine: &f.place}))
	}, "the head names another place"},
	"a head of another lane": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.message(1, "one", wire.Level{})
		f.step("head %s", f.sealed(f.author(), wire.Head{Channel: f.channel, Lane: 2, Role: 1, Mine: &f.place}))
	}, "the head names another place"},
	"a head that only acknowledges": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.message(1, "one", wire.Level{})
		f.step("head %s", f.sealed(f.author(), wire.Head{Channel: f.channel, Role: 1, Yours: f.place}))
	}, "the head names another place"},
	"a receipt for another place": {func(f *forgery) {
		short(f)
		f.step("receipt %s", f.sealed(f.recipient(), wire.Head{Channel: f.channel, Role: 2, Yours: wire.Place{Epoch: f.place.Epoch, Count: f.place.Count + 1, T: f.place.T}}))
	}, "the receipt names another place"},
	"a receipt of another channel": {func(f *forgery) {
		short(f)
		f.step("receipt %s", f.sealed(f.recipient(), wire.Head{Channel: sha256.Sum256(nil), Role: 2, Yours: f.place}))
	}, "the receipt is of another conversation"},
	"a head that is no head": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.message(1, "one", wire.Level{})
		h := wire.Head{Channel: f.channel, Role: 1, Mine: &f.place}
		f.step("head %s", f.seal(f.author(), leaf{wire.PurposeInitiator, [16]byte{}, h.Append(nil)})[0])
	}, "does not cover this statement"},
	"a head with more behind it": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.message(1, "one", wire.Level{})
		h := wire.Head{Channel: f.channel, Role: 1, Mine: &f.place}
		f.step("head %s", f.seal(f.author(), leaf{wire.PurposeHead, [16]byte{}, append(h.Append(nil), 0)})[0])
	}, "the head is too long"},
	"a receipt that is not canonical": {func(f *forgery) {
		short(f)
		b := wire.Head{Channel: f.channel, Role: 2, Mine: &wire.Place{}, Yours: f.place}.Append(nil)
		b = append(b[:35:35], append([]byte{0x40, 0}, b[36:]...)...) // epoch 0 in two bytes
		f.step("receipt %s", f.seal(f.recipient(), leaf{wire.PurposeHead, [16]byte{}, b})[0])
	}, "not in its shortest form"},
	"a seal from before the certificate": {func(f *forgery) { f.now = f.now.Add(-24 * time.Hour); short(f) }, "the certificates were not valid on"},
	"a seal from after the certificate":  {func(f *forgery) { f.now = f.now.AddDate(6, 0, 0); short(f) }, "the certificates were not valid on"},
	"an epoch whose beginning nobody knows": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.epoch()
		f.message(1, "one", wire.Level{})
		f.head()
	}, "whose beginning is not known"},
	"compartments out of order": {func(f *forgery) {
		f.begin(1, wire.Place{})
		f.message(1, "one", wire.Level{Compartments: []string{"b", "a"}})
		f.head()
	}, "a label that is not canonical"},
}

// delegatedLies are told where ana's card has delegated.
var delegatedLies = map[string]struct {
	tell func(f *forgery)
	why  string
}{
	"a seal after its end":        {func(f *forgery) { f.now = f.now.Add(2 * time.Hour); short(f) }, "sealed after the end of the delegation"},
	"a seal before its beginning": {func(f *forgery) { f.now = f.now.Add(-301 * time.Second); short(f) }, "sealed before the delegation"},
	"a key that delegates":        {func(f *forgery) { short(f); f.word("signer 2", 3, "2") }, "there is no delegation 2"},
	"the card's key":              {func(f *forgery) { short(f); f.word("signer 2", 2, "person") }, "key-2.pem is another key"},
	"another leaf":                {func(f *forgery) { short(f); f.word("delegation 1", 3, "0") }, "seal 1 does not cover this statement"},
	"another statement": {func(f *forgery) { short(f); f.word("delegation 1", 5, strings.Repeat("00", 44)) },
		"seal 1 does not cover this statement"},
	"the other's card": {func(f *forgery) { short(f); f.word("seal 1", 2, "3") }, "there is no signer 3"},
}

// Both verifiers refuse the same lies, though the manifest fits.
func TestLies(t *testing.T) {
	w := newWorld(t)
	j := judge.New(t, "sh")
	check := func(t *testing.T, f *forgery, tell func(*forgery), why string) {
		t.Parallel()
		tell(f)
		files := f.bundle()
		if b, err := bundle.Pack(files); err != nil {
			t.Error(err)
		} else if r, err := Verify(b, nil); err == nil {
			t.Errorf("Verify takes it: %+v", r)
		}
		on := j.In(t)
		on.Refuses(on.Folder(files), why)
	}
	for what, l := range lies {
		t.Run(what, func(t *testing.T) { check(t, scene(t, w, wire.SchemeP256), l.tell, l.why) })
	}
	for what, l := range delegatedLies {
		t.Run("delegated/"+what, func(t *testing.T) { check(t, scene(t, w, wire.SchemeEd25519), l.tell, l.why) })
	}
	for name, scheme := range map[string]wire.Scheme{"card": wire.SchemeP256, "delegated": wire.SchemeEd25519} {
		t.Run("the truth/"+name, func(t *testing.T) {
			t.Parallel()
			f := scene(t, w, scheme)
			short(f)
			files := f.bundle()
			b, err := bundle.Pack(files)
			must(t, err)
			if _, err := Verify(b, nil); err != nil {
				t.Error(err)
			}
			on := j.In(t)
			on.Accepts(on.Folder(files))
		})
	}
}
