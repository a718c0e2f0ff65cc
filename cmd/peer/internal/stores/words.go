package stores

import (
	"fmt"
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

const aboutHistory = `Each line has the time by the author's clock, to whom or from whom, its number, how far it came, and what stands for it:
their seal was verified before it was kept; your own went out under your seal.

While peer chat uses the store, history#ID shows the same in the chat.`

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
