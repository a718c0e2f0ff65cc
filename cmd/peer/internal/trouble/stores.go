package trouble

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"sinete/peer/evidence"
	"sinete/peer/evidence/export"
	"sinete/peer/store"
)

// Of stores and what is in them.

func BadPassphraseSource(source string) error {
	return Usage("wrong-usage", fmt.Sprintf("%q is no source of a passphrase", source), "It is file:PATH, or env:NAME of a variable.")
}

func PassphraseUnreadable(err error) error {
	return Refuse("passphrase-needed", "the passphrase cannot be read: "+err.Error(), "--passphrase file:PATH names a file that holds it, env:NAME a variable.")
}

var passphraseNeeded = Trouble{"passphrase-needed", "the store wants its passphrase, and there is no terminal to ask for it",
	"Add --passphrase file:PATH, with a file that only you can read.", StatusFailed}

func NewPassphraseNeeded() error {
	return Refuse("passphrase-needed", "a passphrase is to be chosen, and there is no terminal to ask for it",
		"Name a file that holds it: --passphrase file:PATH for a new store, --new-passphrase file:PATH where it is to be changed, --export-passphrase file:PATH for an export.")
}

func passphraseWrong() Trouble {
	return Trouble{"passphrase-wrong", "that is not the store's passphrase",
		"Try again. Without it nobody reads the store: where it is lost for good, begin a new one in another folder.", StatusRefused}
}

func storeInUse(e *store.LockedError) Trouble {
	return Trouble{"store-in-use", e.Error(), "One program at a time uses a store. In a chat, history#ID shows what is kept, and evidence#ID##FILE writes evidence of it.", StatusFailed}
}

func storeOwner(e *store.OwnerError) Trouble {
	return Trouble{"store-unreadable", e.Error(), "Somebody has moved or copied it. peer store export and import take a store to another place.", StatusFailed}
}

func storeVersion(e *store.VersionError) Trouble {
	return Trouble{"store-unreadable", e.Error(), "Update this program.", StatusFailed}
}

func storeUnreadable(e *store.FormatError) Trouble {
	return Trouble{"store-unreadable", e.Error(), "Put store.json back from a backup; without it nobody reads the store.", StatusFailed}
}

func storeKeyring(e *store.KeyringError) Trouble {
	return Trouble{"keyring-unusable", e.Error(), "Is it there, and unlocked? A store whose key it keeps can be opened with it only; a new one can have a passphrase: --store-key passphrase.",
		StatusFailed}
}

func storeFull(e *store.FullError) Trouble {
	return Trouble{"store-full", e.Error(), "Nothing is lost of what was kept before. Make room on the disk, then try again.", StatusFailed}
}

func storeFailed(e *store.IOError) Trouble {
	return Trouble{"store-failed", e.Error(), "Nothing is lost of what was kept before. Is the disk there, and sound? Try again; peer store check looks at all of it.", StatusFailed}
}

func NoStore(dir string) error {
	return Refuse("store-missing", "there is no such store in "+dir, "peer chat --store DIR makes one.")
}

func NotTheirStore(dir, of string, owners []store.Owner) error {
	return Refuse("store-missing", fmt.Sprintf("%s has no store of %q", dir, of), "It has those of "+whose(owners)+".")
}

// StoreDisk says of a file that the system refuses that it is the store's: it would be taken for the card's.
func StoreDisk(err error) error {
	switch {
	case err == nil || Explain(err).Code != cardUnreadable(err).Code:
		return err
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &store.FullError{Err: err}
	}
	return Refuse("store-failed", "the store cannot be opened: "+err.Error(), "Is that its folder, and may you read and write there?")
}

// ExportPassphraseWrong is passphraseWrong of an export.
func ExportPassphraseWrong() error {
	return &Problem{Trouble{"passphrase-wrong", "that is not the passphrase of the export", "Try again: it was chosen when the export was written.", StatusRefused}}
}

func SeveralStores(dir string, owners []store.Owner) error {
	return Refuse("store-ambiguous", "there are several people's stores in "+dir, "Name one with --of: "+whose(owners)+".")
}

func whose(owners []store.Owner) string {
	var each []string
	for _, o := range owners {
		each = append(each, fmt.Sprintf("%s (%s)", o.Identity, o.Name))
	}
	return strings.Join(each, ", ")
}

func NobodyKept(who string) error {
	return Refuse("unknown-contact", fmt.Sprintf("nothing is kept of anybody called %q", who), "A name is a whole one. peer history without --with shows everybody's.")
}

func SeveralKept(who string, found []*store.Contact) error {
	var which []string
	for _, p := range found {
		which = append(which, p.Identity)
	}
	return Refuse("ambiguous-name", fmt.Sprintf("%d people are called %q", len(found), who), "Give the identity: "+strings.Join(which, ", ")+".")
}

func ExportUnusable(err error) error {
	return Refuse("export-unusable", "the export: "+err.Error(), "An export is written to a file that is not there yet, and read from one that peer store export has written whole.")
}

func StoreDamaged(damaged, unproved int) error {
	return Refuse("store-damaged", fmt.Sprintf("%d places of the store are damaged, and %d parts of it are not proved", damaged, unproved),
		"Make sure that the disk is sound. What is not damaged can be moved to another one with peer store export and import; what was lost is with whom you wrote with.")
}

// EvidenceFile says of a file that it is that of the evidence.
func EvidenceFile(err error) error {
	advice := "Is that its name, and may you read and write there?"
	if errors.Is(err, fs.ErrExist) {
		advice = "Name another one. peer evidence export --force writes over one that is there."
	}
	return Refuse("evidence-file", "the file of the evidence: "+err.Error(), advice)
}

func evidenceUnproved(e *export.UnprovedError) Trouble {
	var each []string
	for i, u := range e.Messages {
		if i == 10 {
			each = append(each, fmt.Sprintf("and %d more", len(e.Messages)-i))
			break
		}
		each = append(each, fmt.Sprintf("%s (%v)", u.Which(), u.Err))
	}
	what := "there is no message with evidence"
	if len(each) > 0 {
		what = "there is no evidence of " + strings.Join(each, ", ")
	}
	return Trouble{"evidence-missing", what, "peer history shows which messages there are, and what stands for them. Nothing was written.", StatusFailed}
}

func evidenceTooLarge() Trouble {
	return Trouble{"evidence-too-large", evidence.ErrTooMuch.Error() + " of evidence", "Choose messages with --message, such as sent:1-5000.", StatusFailed}
}

func evidenceStamp(e *export.StampError) Trouble {
	return Trouble{"evidence-stamp", e.Error(), "Is that its address, and do its certificates lead to those in the folder that --timestamp-trust names? Nothing was written.", StatusFailed}
}

func evidenceFalse(err error) Trouble {
	return Trouble{"evidence-invalid", "this proves nothing: " + err.Error(), "Somebody has changed it, it was damaged on its way, or it is of a later version. Have it sent again.", StatusRefused}
}

func evidenceUntrusted(e *evidence.AnchorError) Trouble {
	return Trouble{"evidence-untrusted", e.Error(), "If you know by another way that this authority is the right one, put its certificate into the folder that --trust names.", StatusRefused}
}
