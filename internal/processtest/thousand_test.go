//go:build cgo

package processtest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
)

const thousand = 1000

func textOf(author string, n int) string {
	return fmt.Sprintf("mensagem %d de %s ## é selada", n, author)
}

// Two people with cards on tokens send each other a thousand messages at once. Each is shown once and in order, with both
// receipts, and every program ends in order. Then what passed the relay, and what the cards signed, is judged by the text of
// docs/protocol.md.
func TestThousandMessagesEachWay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	records := func(name string) string { return "SINETE_TEST_RECORDS=" + filepath.Join(dir, name) }

	r := startRelay(t, trial, records("relay"))
	rita, paulo := connected(t, login(t, r, token("rita"), records("rita")), login(t, r, token("paulo"), records("paulo")), "Rita", "Paulo")

	var atOnce sync.WaitGroup
	errs := make([]error, 4)
	atOnce.Go(func() { errs[0] = rita.sayThousand("Rita") })
	atOnce.Go(func() { errs[1] = paulo.sayThousand("Paulo") })
	atOnce.Go(func() { errs[2] = rita.hearThousand("Paulo") })
	atOnce.Go(func() { errs[3] = paulo.hearThousand("Rita") })
	atOnce.Wait()
	for _, err := range errs {
		must(t, err)
	}
	talk(t, rita, paulo, "the last word") // its seals acknowledge everything before
	rita.signal(syscall.SIGTERM)
	paulo.event("conversation", "state", "closed", "reason", "peer-left")
	rita.event("session", "state", "closed", "reason", "bye")
	rita.ends(0)
	paulo.signal(syscall.SIGTERM)
	paulo.event("session", "state", "closed", "reason", "bye")
	paulo.ends(0)
	r.stop()

	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		must(t, err)
		return b
	}
	judgeRecords(t, read("relay"), read("rita"), read("paulo"))
}

func (p person) sayThousand(own string) error {
	for n := range thousand {
		if err := p.Say("send##" + p.other + "##" + textOf(own, n)); err != nil {
			return err
		}
	}
	return nil
}

// hearThousand wants the other's messages, each once and in order, and both receipts of this one's last; nothing else may come
// meanwhile, and no receipt may fall behind one before it.
func (p person) hearThousand(other string) error {
	heard, receipts := 0, map[string]int{"relay": -1, "peer": -1}
	for heard < thousand || receipts["relay"] < thousand-1 || receipts["peer"] < thousand-1 {
		e, err := p.Next()
		if err != nil {
			return fmt.Errorf("after %d messages and receipts %v: %w", heard, receipts, err)
		}
		switch stage := fmt.Sprint(e["stage"]); {
		case e.Is("message", "id", p.other, "seq", heard, "text", textOf(other, heard)):
			heard++
		case e.Is("receipt", "id", p.other) && int(e["seq"].(float64)) > receipts[stage]:
			receipts[stage] = int(e["seq"].(float64))
		default:
			return fmt.Errorf("after %d messages and receipts %v this came: %v", heard, receipts, e)
		}
	}
	return nil
}
