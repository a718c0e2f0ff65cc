package evidence

import (
	"crypto/sha256"
	"fmt"
	"html"
	"strings"
	"time"
)

// summary says in words what a report holds. Both files are made of it, so that they cannot differ.
type summary struct {
	title, intro string
	chapters     []chapter
	notes        []note
}

// chapter is a heading with entries.
type chapter struct {
	title   string
	entries []entry
}

// entry is somebody or something, with what is to be said of it.
type entry struct {
	title string
	rows  [][2]string
	text  []string // lines of a message
}

// note is a heading with sentences.
type note struct {
	title     string
	sentences []string
}

// summarize makes the two summaries. They are the same for the same report, whatever program of this version makes them.
func summarize(r *Report) (text, page []byte) {
	s := &summary{title: "Evidence of messages", intro: "This is for reading. What counts are the files beside it, and what verify.sh says of them."}
	people, messages := chapter{title: "People"}, chapter{title: "Messages"}
	for i := range r.People {
		people.entries = append(people.entries, personEntry(r, i))
	}
	for i := range r.Relays {
		people.entries = append(people.entries, relayEntry(&r.Relays[i]))
	}
	for i := range r.Stamps {
		people.entries = append(people.entries, stampEntry(&r.Stamps[i]))
	}
	for i := range r.Messages {
		messages.entries = append(messages.entries, messageEntry(r, &r.Messages[i]))
	}
	s.chapters, s.notes = []chapter{people, messages}, notes
	return s.text(), s.page()
}

var notes = []note{
	{"What is proved", []string{
		"Each author's identity card, or a key to which that card had delegated for some hours, signed exactly this text, as this message to this recipient.",
		"Where it says received, the recipient's card or such a key signed that this message, and all before it in that direction of the conversation, had arrived and been verified.",
		"The signatures lie in the certificates' time, by the clocks of those who signed.",
	}},
	{"What is not proved", []string{
		"When: times are the word of whoever wrote or signed.",
		"Who held a card and knew its PIN.",
		"That the authorities are to be trusted: compare the fingerprints with what they publish.",
		"What other messages said. None but those shown here can be read from these files.",
	}},
	{"How to check", []string{
		"Unpack everything into one folder, and there run: sh verify.sh",
		"It needs openssl, sha256sum and a shell, and nothing that comes from whoever gave you this, except itself: compare it with the verify.sh of Sinete's source, or read it.",
		"With a file of authorities that you trust: sh verify.sh TRUST.pem",
	}},
}

func personEntry(r *Report, i int) entry {
	p := &r.People[i]
	c, a := p.Certificate, p.Anchor()
	e := entry{title: nameIn(r, i), rows: [][2]string{
		{"identity", p.Identity},
		{"certificate", fmt.Sprintf("number %x, valid from %s to %s", c.SerialNumber, dateOf(c.NotBefore.Unix()), dateOf(c.NotAfter.Unix()))},
		{"issued by", visibleLine(c.Issuer.CommonName)},
		{"below", visibleLine(a.Subject.CommonName)},
		{"fingerprint", fmt.Sprintf("%x (SHA-256 of that authority's certificate)", sha256.Sum256(a.Raw))},
	}}
	for _, s := range r.Statuses {
		if s.Person == i {
			e.rows = append(e.rows, [2]string{"not revoked", fmt.Sprintf("%s, said the issuer of the certificate of %s", dateOf(s.From.Unix()), visibleLine(s.Certificate.Subject.CommonName))})
		}
	}
	return e
}

func messageEntry(r *Report, m *Message) entry {
	received := "not proved"
	if m.Delivered != nil {
		received = sealedIn(m.Delivered)
	}
	e := entry{title: fmt.Sprintf("%s to %s", nameIn(r, m.From), nameIn(r, m.To)), rows: [][2]string{
		{"message", fmt.Sprintf("%d of this author to this recipient, counted from 0", m.Number)},
		{"written", dateOf(int64(m.Time/1000)) + ", by the author's clock"},
		{"label", m.Label.String()},
		{"signed", sealedIn(&m.Sealed)},
		{"received", received},
		{"file", fmt.Sprintf("%s, %d bytes", m.File, len(m.Text))},
	}, text: visible(m.Text)}
	if m.Relayed != nil {
		e.rows = append(e.rows, [2]string{"relayed", fmt.Sprintf("%s states that it had the message %s, by its clock", r.Relays[m.Relayed.Relay].Name, dateOf(int64(m.Relayed.At)))})
	}
	return e
}

func relayEntry(relay *Relay) entry {
	a := relay.Anchor()
	return entry{title: "The relay " + relay.Name, rows: [][2]string{
		{"below", visibleLine(a.Subject.CommonName)},
		{"fingerprint", fmt.Sprintf("%x (SHA-256 of that authority's certificate)", sha256.Sum256(a.Raw))},
	}}
}

func stampEntry(s *Stamp) entry {
	return entry{title: "The time-stamping authority " + visibleLine(s.Certificate.Subject.CommonName), rows: [][2]string{
		{"states", "that all that is proved here, the signatures too, was there " + dateOf(int64(s.At))},
		{"below", visibleLine(s.Anchor.Subject.CommonName)},
		{"fingerprint", fmt.Sprintf("%x (SHA-256 of that authority's certificate)", sha256.Sum256(s.Anchor.Raw))},
	}}
}

func sealedIn(s *Sealed) string {
	by := "with the card"
	if d := s.Delegation; d != nil {
		by = fmt.Sprintf("with a key to which the card delegated until %s at %s", dateOf(int64(d.NotAfter)), visibleLine(d.Deployment))
	}
	return fmt.Sprintf("%s, by the signer's clock, %s", dateOf(int64(s.At)), by)
}

func nameIn(r *Report, i int) string {
	p := &r.People[i]
	if name := visibleLine(p.Certificate.Subject.CommonName); name != "" {
		return name
	}
	return p.Identity
}

// dateOf is a time in words, up to the year 9999.
func dateOf(unix int64) string {
	if t := time.Unix(unix, 0).UTC(); unix >= 0 && t.Year() <= 9999 {
		return t.Format("2006-01-02 15:04:05 UTC")
	}
	return "a time that there is not"
}

// visible is text in lines, in which nothing can hide or change how the rest is shown. The ranges are fixed here since package unicode grows with
// its releases, and a bundle must be the same for all of them.
func visible(text string) []string {
	var b strings.Builder
	for _, c := range strings.ToValidUTF8(text, "\uFFFD") {
		switch {
		case c == '\n':
			b.WriteByte('\n')
		case c == '\\':
			b.WriteString(`\\`)
		case c < ' ', c >= 0x7f && c < 0xa0, c == 0xad, c == 0x61c, c == 0x180e, c >= 0x200b && c <= 0x200f, c >= 0x2028 && c <= 0x202e,
			c >= 0x2060 && c <= 0x206f, c >= 0xfe00 && c <= 0xfe0f, c == 0xfeff, c >= 0xfff0 && c <= 0xfffb, c >= 0xe0000 && c <= 0xe0fff:
			fmt.Fprintf(&b, `\u{%x}`, c)
		default:
			b.WriteRune(c)
		}
	}
	return strings.Split(b.String(), "\n")
}

func visibleLine(s string) string { return strings.Join(visible(s), `\u{a}`) }

// text is evidence.txt.
func (s *summary) text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n%s\n", strings.ToUpper(s.title), s.intro)
	for _, c := range s.chapters {
		fmt.Fprintf(&b, "\n%s\n", strings.ToUpper(c.title))
		for i, e := range c.entries {
			fmt.Fprintf(&b, "\n%d. %s\n", i+1, e.title)
			for _, row := range e.rows {
				fmt.Fprintf(&b, "   %-12s %s\n", row[0], row[1])
			}
			for _, line := range e.text {
				fmt.Fprintf(&b, "   | %s\n", line)
			}
		}
	}
	for _, n := range s.notes {
		fmt.Fprintf(&b, "\n%s\n\n", strings.ToUpper(n.title))
		for _, sentence := range n.sentences {
			fmt.Fprintf(&b, "- %s\n", sentence)
		}
	}
	return []byte(b.String())
}

const pageHead = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>%[1]s</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46em; margin: 2em auto; padding: 0 1em }
section { border-top: 1px solid; margin-top: 1.5em }
article { break-inside: avoid; margin: 1.5em 0 }
h3 { margin-bottom: .3em }
dl { display: grid; grid-template-columns: 7em 1fr; margin: 0; font-size: .9em }
dd { margin: 0; overflow-wrap: anywhere }
dt { opacity: .7 }
pre { font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; border-left: 4px solid; padding: .3em 1em; margin: .7em 0 }
</style>
</head>
<body>
<h1>%[1]s</h1>
<p>%[2]s</p>
`

// page is evidence.html: it loads nothing and runs nothing.
func (s *summary) page() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, pageHead, html.EscapeString(s.title), html.EscapeString(s.intro))
	for _, c := range s.chapters {
		fmt.Fprintf(&b, "<section>\n<h2>%s</h2>\n", c.title)
		for i, e := range c.entries {
			fmt.Fprintf(&b, "<article>\n<h3>%d. %s</h3>\n<dl>\n", i+1, html.EscapeString(e.title))
			for _, row := range e.rows {
				fmt.Fprintf(&b, "<dt>%s</dt><dd>%s</dd>\n", row[0], html.EscapeString(row[1]))
			}
			b.WriteString("</dl>\n")
			if e.text != nil {
				fmt.Fprintf(&b, "<pre dir=\"auto\">%s</pre>\n", html.EscapeString(strings.Join(e.text, "\n")))
			}
			b.WriteString("</article>\n")
		}
		b.WriteString("</section>\n")
	}
	for _, n := range s.notes {
		fmt.Fprintf(&b, "<section>\n<h2>%s</h2>\n<ul>\n", n.title)
		for _, sentence := range n.sentences {
			fmt.Fprintf(&b, "<li>%s</li>\n", html.EscapeString(sentence))
		}
		b.WriteString("</ul>\n</section>\n")
	}
	b.WriteString("</body>\n</html>\n")
	return []byte(b.String())
}
