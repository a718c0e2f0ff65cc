package export

import (
	"strings"
	"testing"

	"sinete/peer/evidence/internal/bundle"
)

// The summaries say who wrote what to whom, and nothing in a text or a name becomes anything else than text.
func TestSummary(t *testing.T) {
	s := newStory(t, byDelegation, p256)
	s.says(s.ana, "<script>alert('\"&')</script>\n\x1b[31m\u202eback\\slash", "not shown")
	s.confirms(s.rui)
	s.says(s.rui, "an answer")
	files, err := bundle.Unpack(s.export(s.ana, Range{true, 0, 0}, Range{false, 0, 0}).Bundle)
	must(t, err)
	text, page := string(files[bundle.Text]), string(files[bundle.Page])
	for _, want := range []string{
		"1. Ana da Conceição\n   identity     " + s.ana.identity + "\n",
		"1. Ana da Conceição to Rui da Conceição\n",
		"   | <script>alert('\"&')</script>\n   | \\u{1b}[31m\\u{202e}back\\\\slash\n",
		"with a key to which the card delegated until ",
		"   received     not proved\n",
		"   | an answer\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", bundle.Text, want, text)
		}
	}
	for _, want := range []string{
		"default-src 'none'",
		"<h3>1. Ana da Conceição to Rui da Conceição</h3>",
		"<pre dir=\"auto\">&lt;script&gt;alert(&#39;&#34;&amp;&#39;)&lt;/script&gt;\n\\u{1b}[31m\\u{202e}back\\\\slash</pre>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("%s does not say %q:\n%s", bundle.Page, want, page)
		}
	}
	for name, content := range map[string]string{bundle.Text: text, bundle.Page: page} {
		if strings.Contains(content, "not shown") || strings.ContainsAny(content, "\x1b\u202e\r\t") || strings.Contains(content, "http://") || strings.Contains(content, "https://") {
			t.Errorf("%s: %q", name, content)
		}
	}
	if strings.Contains(page, "<script") {
		t.Error("a text became a part of the page")
	}
}
