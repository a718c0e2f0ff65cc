package main

import (
	"fmt"
	"strings"

	"sinete/cmd/peer/internal/screen"
)

// The help of the commands, apart from that of single flags.

const aboutPeer = `Secure messages, sealed by the identity card that you carry.

To begin: peer cards shows your card, peer chat HOST:PORT logs in, and peer doctor HOST:PORT says what to do where that fails.
For a trial without a card, where testpki ocsp answers on this machine:
peer chat HOST:PORT --card soft:FILE --trust DIR --revocation-network 127.0.0.1/32

Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (authentication or policy).`

var aboutChat = "Commands, one a line: " + strings.Join(screen.Forms, ", ") + `.
ID is a number that list shows, a whole name or an identity. TEXT is all that follows the second ##.
The end of input, Ctrl-C and SIGTERM mean disconnect; a second Ctrl-C ends at once.

When the connection is lost, the program comes back by itself, makes the conversations again that broke, and sends what was typed meanwhile.
Where the card needs its PIN for that, the next line that you type is the PIN, and is not shown.

With --store DIR messages are kept, under a passphrase that you choose the first time: what waits goes out after the next start, what came
unseen is shown then, history#ID shows all of it, and evidence#ID##FILE proves it, as peer history and peer evidence do outside a chat. A passphrase is never the card's PIN.

A card is soft:PATH, soft:PATH?pin-value=PIN, soft:PATH?pin-source=file:PATH, or a PKCS#11 URI as peer cards shows it, to which
?pin-source=file:PATH may be added. Without a PIN there you are asked for it, on a terminal only.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused (authentication or policy).`

const revocationOff = `WARNING: --revocation off: cards that were revoked, lost or stolen are accepted. For trials only.`

const nothingIsKept = "nothing of this chat is kept: --store DIR keeps it"

func outputLost(err error) string {
	return fmt.Sprintf("peer: %v\n  Nothing can be shown any more: make room, or let the output go elsewhere. A chat with --store shows at its next start what came and was not shown.\n", err)
}
