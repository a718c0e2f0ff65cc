package main

import "text/template"

// document is relay.toml with every key explained; it is filled in from settings.
var document = template.Must(template.New("relay.toml").Parse(`# Configuration of a Sinete relay. Paths are relative to the folder of this file. Unknown keys are refused.

# Address and UDP port to listen on. To be reached from elsewhere: ":7443".
listen = {{printf "%q" .Listen}}

# The name that people are shown. Which relay they reach, their programs check by the names in the certificate.
name = {{printf "%q" .Name}}

# The relay's certificate (PEM, its own first, then its issuers) and the private key that belongs to it. Nobody but the
# relay's account should be able to read the key.
#
# The key may lie in an HSM: then key is a PKCS #11 URI, with the module and the file that holds the PIN, such as
#   key = "pkcs11:token=relay;id=%01?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/sinete/pin"
# and certificate is still a file, or the same URI where the certificate is on the token, too.
certificate = {{printf "%q" .Certificate}}
key = {{printf "%q" .Key}}

# A folder of certificates (*.pem): the authorities that issue your people's cards, up to the root. Whoever has a card of
# theirs can log in.
trust = {{printf "%q" .Trust}}

# Who has which level: one line each, IDENTITY RANK [COMPARTMENT ...]. Change it with "relay level set", or by hand; the running
# relay takes a change over within a second, for those who are logged in as well.
levels = {{printf "%q" .Levels}}

# The rank, 0 to 65535, of everybody whom the levels file does not name.
default_level = {{.DefaultLevel}}

# What becomes of people whom the levels file does not name:
#   "admit"   they are let in, with default_level
#   "refuse"  they are not, and who is taken out of the file is out at once
unknown_identities = {{printf "%q" .Unknown}}

# Who may write to whom:
#   "no-write-up"    to the same rank and to lower ones
#   "no-write-down"  to the same level and to higher ones, compartments included (Bell and LaPadula)
#   "equal"          to exactly the same level
policy = {{printf "%q" .Policy}}

# Identities that may label a message below their own level, as ["BI12345678@0123456789abcdef"]. A label opens no direction that their
# level does not.
labels_below = [{{range $i, $n := .LabelsBelow}}{{if $i}}, {{end}}{{printf "%q" $n}}{{end}}]

# Who sees whom in the list, and can begin a conversation:
#   "everyone"  everybody sees everybody
#   "cleared"   people see those of their rank and below whose compartments they are all in; to them nobody else exists
visibility = {{printf "%q" .Visibility}}

# The folder of the audit log, which the relay makes: who logged in and when, what was refused, whose level changed; never what people write.
# It is personal data. "relay audit" checks and shows it. "": none.
audit = {{printf "%q" .Audit}}

# What happens while the audit log cannot be written, as on a full disk. In both cases the log on standard error says so:
#   "refuse"    nobody can log in; those who are in go on
#   "continue"  everything goes on, unrecorded
audit_failure = {{printf "%q" .AuditFailure}}

# What is asked about a card's revocation:
#   "hard"   no login without a valid answer that the card is good
#   "grace"  the same, but where the authorities cannot be reached the last good answer serves for a while
#   "off"    nothing: REVOKED, LOST AND STOLEN CARDS ARE LET IN. For trials only.
# Cards that are known to be revoked or suspended are refused by both "hard" and "grace".
revocation = {{printf "%q" .Revocation}}

# With "grace": how long after its end the last good answer serves.
revocation_grace = {{printf "%q" .RevocationGrace}}

# How long after its card was revoked a session ends at the latest.
revocation_recheck = {{printf "%q" .Recheck}}

# A folder for answers that still hold, so that a restart asks nobody again; it is made. "" keeps them in memory only.
revocation_cache = {{printf "%q" .Cache}}

# Answers are fetched from the addresses in the certificates (http, https), if those are public. Networks whose addresses are private
# must be allowed here: ["10.20.0.0/16"].
revocation_networks = [{{range $i, $n := .Networks}}{{if $i}}, {{end}}{{printf "%q" $n}}{{end}}]

# What may seal messages:
#   "any"    the card itself, or a key that the card delegated to for some hours at login
#   "card"   the card itself and nothing else, in conversations too
require_signing = {{printf "%q" .RequireSigning}}

# The weakest suite that may be used, between a program and this relay and between two people through it; best first, and the first
# two withstand a future quantum computer:
{{range .SuiteNames}}#   {{.}}
{{end -}}
min_suite = {{printf "%q" .MinSuite}}

# How long after a lost connection a person's program may come back with the key that the card delegated to, so that nobody has
# to type the PIN again. "0": never.
delegation_grace = {{printf "%q" .Grace}}

# When sessions take new keys: after this time, or this many messages. A person's program may want them sooner, and conversations go by
# what the two people's programs want.
rekey_after = {{printf "%q" .RekeyAfter}}
rekey_messages = {{.RekeyMessages}}

# People logged in at once; more are told that the relay is busy.
max_sessions = {{.MaxSessions}}

# What the log on standard error begins with: "debug", "info", "warn" or "error". It never holds messages or secrets.
log = {{printf "%q" .Log}}
`))

// levelsHeader begins a levels file.
const levelsHeader = `# Who has which level: IDENTITY RANK [COMPARTMENT ...]   # a note
`
