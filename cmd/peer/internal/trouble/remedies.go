package trouble

// What to do: all the advice of peer doctor, which peer chat gives in the same trouble. One constant is one piece of advice; TestDoctor sees to
// it that each has a machine on which the doctor gives it.
const (
	RemedyUnforeseen = "No advice is written for this. Send these words to whoever runs the relay."

	// PKCS#11 modules, readers and cards.
	remedyNoCgo          = "A program built with cgo can use cards in readers; --card soft:FILE works always."
	remedyInstallLinux   = "Install the card's own software, or OpenSC: apt-get install opensc pcscd (Debian, Ubuntu), dnf install opensc pcsc-lite (Fedora)."
	remedyInstallMac     = "Install the card's own software, or OpenSC: brew install opensc."
	remedyInstallWindows = "Install the card's own software, or OpenSC from github.com/OpenSC/OpenSC/releases, for this kind of processor."
	remedyModulePath     = "A module in another place is named with --card \"pkcs11:?module-path=FILE\" or in SINETE_PKCS11_MODULE."
	RemedyModuleAbsent   = "Is the path right? Without one the well-known modules that are installed are looked at."
	RemedyModuleFails    = "Is the module the one for this card and machine? peer cards --module SO tries another."
	RemedyModuleCrashed  = "Try again: it is started anew. If it stays so, update the card's software, or try another module."
	remedyModuleHung     = "Is it waiting for a PIN? Try again: it is started anew."
	RemedyModuleAsks     = "It wants to ask somebody, and has neither screen nor keyboard here. Start this program where there is a screen."
	RemedyModuleOther    = "It is not needed where another module shows the card."
	RemedyPCSCLinux      = "As root: systemctl enable --now pcscd.socket, after apt-get install pcscd (Debian, Ubuntu) or dnf install pcsc-lite (Fedora)."
	RemedyReaderLinux    = "Plug the reader in. Where it is, it may lack its driver: apt-get install libccid (Debian, Ubuntu), dnf install ccid (Fedora)."
	RemedyReaderMac      = "Plug the reader in, or out and in again. system_profiler SPSmartCardsDataType shows those that the system sees."
	RemedyReaderWindows  = "Plug the reader in. As administrator: sc start SCardSvr starts the service for cards, where it does not run."
	RemedyNoCard         = "Put the card into the reader, and see with peer cards what is found. For a trial: --card soft:FILE"
	RemedyUnknownCard    = "Is it the right way round? Otherwise its own software knows it: install that, or name its module."
	RemedyBlankToken     = "Put in a card that was issued. Whoever makes tokens initialises this one with its own tool, such as softhsm2-util or pkcs11-tool."
	remedyAmbiguous      = "Name one with --card:\n%s"
	remedyExportable     = "Make the key on the token, not extractable and sensitive. For tests: add exportable-key=yes to the card's name."
	remedyCardName       = "It is soft:PATH or a PKCS#11 URI (pkcs11:...); peer cards shows those that are there."
	remedyCardURI        = "peer cards shows the URIs of the cards that are there."
	remedySoftCard       = "testpki card makes soft cards for trials."
	RemedyPINLocked      = "Whoever issued the card can unlock it."
	RemedyPINFinal       = "Log in at a terminal, where you are asked for it, and be certain of it."

	// What is trusted, and the card's certificate.
	remedyTrustName          = "Name one with --trust DIR."
	remedyTrust              = "The folder holds the certificates of your cards' and relay's authorities up to the root, as PEM, in files *.pem."
	remedyTrustMissing       = "Your organisation gives them out; testpki init makes some for a trial. Put them there, or name their folder with --trust DIR."
	RemedyStrangeCertificate = "Nothing here can mend it. Is it the card you mean?"
	RemedyExpired            = "Is the date of this machine right? Otherwise have the card renewed: nobody accepts it any more."
	RemedyExpiresSoon        = "Have the card renewed before that. Nobody accepts it afterwards."
	RemedyUsage              = "A card has several certificates: name the one for authentication with --card. peer cards shows them."
	remedyOwnCertificate     = "Are the authorities of your card in the --trust folder, up to the root? Is this the certificate for authentication?"
	RemedyIssuer             = "Put it into %s, as PEM. Whoever issued the card, or runs the relay, has the certificate of %q."
	RemedyIssuerAddress      = "It is published at %s, says the certificate below it. Compare what you get there with what your organisation says."
	RemedyCitizenCard        = "The official software of the Cartão de Cidadão (Autenticação.gov) brings its authorities' certificates along."
	RemedyRoot               = "Put its certificate there only if whoever issued your card, or runs the relay, says that this root is theirs."
	RemedySHA1               = "Signatures with SHA-1 can be forged, so nobody accepts them. Have the card renewed: newer ones have other authorities."
	RemedyAuthorityExpired   = "Is the date of this machine right? Otherwise ask whoever issued the card, or runs the relay, for the authority's newer certificate."

	// Revocation.
	RemedyRevoked      = "Nobody accepts it any more. Ask the authority that issued the card for a new one."
	RemedySuspended    = "Ask the authority that issued the card: it can end the suspension."
	RemedyRelayRevoked = "Do not go on: tell whoever runs the relay."
	RemedyUnknown      = "Its authority has not heard of it. A new card may take a day to be known; otherwise ask whoever issued it."
	RemedyUnanswered   = "Try again later, when the authority's service answers. Does the network let HTTP through to it? Proxies are not used."
	RemedyNetwork      = "An authority on a private network must be allowed: --revocation-network NET. --revocation grace takes a last good answer for a day more."
	RemedyNoResponder  = "Its authority says nowhere whether it was revoked. Only --revocation off accepts that, which is for trials."
	RemedyStale        = "The authority's service is out of date. Tell whoever runs it, and try again later."
	RemedyStaleOrClock = "Is the date of this machine right? Otherwise the authority's service is out of date: tell whoever runs it."
	RemedyGrace        = "From then on nobody accepts it, if its authority does not answer before."
	RemedyClock        = "Set date and time of this machine, or let the network set it."

	// The relay.
	remedyAddress           = "It is HOST:PORT, for example relay.example.org:7443 or [::1]:7443."
	remedyHost              = "Is the name right? Otherwise this machine's network or its name server (DNS) does not work."
	RemedyRelayClosed       = "The machine is there. Is the port right, and is the relay running?"
	RemedyRelaySilent       = "Is the address right, is the relay running, and does the network let UDP through to it?"
	RemedyNoRoute           = "This machine's network has no way there. Is it connected, and a VPN that it needs?"
	RemedyNotQUIC           = "Is the port right? What answers there is another service."
	RemedyHandshakeLost     = "Small packets come through and the handshake does not: the relay may be full, or the network drops large packets. Try from another network, and tell whoever runs it."
	remedyNoRelay           = "Is the port right? Otherwise update the older of the two programs."
	remedyRelayBusy         = "Try again later."
	RemedyRelayOutOfTime    = "Is the date of this machine right? Otherwise tell whoever runs the relay."
	RemedyRelayName         = "If it is the relay that you mean: --relay-name %s. Otherwise the address is another's."
	remedyRelayUntrusted    = "Is the address right, or does the relay go by another name (--relay-name)? Is its authority in the --trust folder?"
	remedySomebodyInBetween = "If all that is right, somebody may be in between: do not go on."

	// What this program keeps.
	RemedyCache  = "Make it a folder that you can write to. Without it authorities are asked anew at each start."
	RemedyMemory = "Delete it: it is written anew when you choose a card."
)
