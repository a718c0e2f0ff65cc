package stores

import (
	"fmt"

	"sinete/cmd/peer/internal/screen"
	"sinete/peer/evidence/export"
	"sinete/peer/evidence/held"
	"sinete/peer/store"
)

const (
	aboutNewStore = "Your messages are kept in a new store, encrypted. Choose a passphrase for it: you are asked for it at each start, and without it\n" +
		"nobody reads them, you included. It is not the card's PIN, and must not be: cards are replaced, and the store stays."
	askPassphrase      = "Passphrase of your store: "
	wrongPassphrase    = "That was not it. "
	aboutNewPassphrase = "Choose the new passphrase."
	newPassphrase      = "New passphrase: "
	onceMore           = "The same once more: "
	passphraseTooShort = "At least %d characters."
	passphrasesDiffer  = "These were two different ones."
)

const aboutFlags = "peer history --store DIR [--with NAME] [--since WHEN] [--before WHEN] [--search TEXT] [--of NAME] [--passphrase SOURCE] [--json]\n" +
	"shows them; peer history show --help says what each flag means."

const aboutHistory = `Each line has the time by the author's clock, to whom or from whom, its number, how far it came, and what stands for it:
their seal was verified before it was kept; your own went out under your seal.

While peer chat uses the store, history#ID shows the same in the chat. peer history delete deletes.`

func unprotected(folder string) string {
	return "whoever can read " + folder + " can read your messages: the key lies beside them. peer store passwd gives the store a passphrase"
}

func damaged(d *store.Damage) string {
	return fmt.Sprintf("the store is damaged: %v. All else is there; peer store check says more", d)
}

// protectedBy is said of a store that has been changed.
var protectedBy = map[store.Kind]string{
	store.ByPassphrase: "the store opens with the new passphrase from now on",
	store.ByKeyring:    "the system's keyring opens the store from now on",
	store.Unprotected:  "nothing protects the store from now on: whoever can read its folder can read your messages",
}

func deleteQuestion(n int, all bool) string {
	what := screen.Plural(n, "this message", "these %d messages")
	if all {
		what = screen.Plural(n, "the only message that is kept", "all %d messages that are kept")
	}
	return "Delete " + what + " for good? Those that are not delivered yet stay, and go out. Type yes: "
}

func deleted(n int) string {
	return screen.Plural(n, "1 message has been deleted", "%d messages have been deleted")
}

const (
	askExport   = "Passphrase of the export: "
	aboutExport = "Choose a passphrase for the export: whoever imports it is asked for it."
	notChecked  = "what proves the messages was not checked: there is no folder with trusted certificates; name one with --trust DIR"
)

func exported(file string) string {
	return "all that the store has is in " + file + ", under its own passphrase"
}

func imported(n int) string {
	return screen.Plural(n, "1 message was new", "%d messages were new")
}

func notProved(f held.Fault, name string) string {
	whose := "what " + name + " wrote"
	if f.Own {
		whose = "what you wrote to " + name
	}
	return fmt.Sprintf("a part of %s is not proved: %v", whose, f.Err)
}

const aboutEvidence = `The file is a zip. Whoever has it says peer evidence verify FILE, or unpacks it and says sh verify.sh, which needs nothing but OpenSSL. It
holds the messages that you choose, in the clear, and the certificates of both cards; of other messages nothing but how many there were.

While peer chat uses the store, evidence#ID##FILE does the same in the chat, for all messages.`

const aboutVerifying = `It shows each message that is proved: who sealed it, when, and whether the other has confirmed it. Nothing else is needed,
neither a store nor a card. The times are those of the clocks of whoever sealed.`

const compareAnchors = "there is no folder with trusted certificates: it is genuine only if the authorities below are the right ones. Compare their SHA-256, or name a folder with --trust DIR"

func missing(u *export.Unproved) string {
	return "there is no evidence of " + u.Which() + ": " + u.Err.Error()
}

func moreMissing(n int) string {
	return screen.Plural(n, "and of 1 more", "and of %d more")
}

// What takes long.
const (
	openingStore    = "opening the store"
	readingMessages = "%d messages read"
	readingProof    = "%d parts of what proves them read"
	verifyingFile   = "verifying"
	exportingStore  = "exporting: %d MiB written"
	importingStore  = "importing: %d MiB read"
)
