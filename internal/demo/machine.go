package main

import (
	"fmt"
	"os"
	"time"
)

// otherMachine has Bruno leave, and log in again from what is another machine to his contacts: one with another random number to name it.
func otherMachine(w *world) error {
	if err := w.people["bruno"].Say("disconnect"); err != nil {
		return err
	}
	if status, err := w.people["bruno"].Wait(); err != nil || status != 0 {
		return fmt.Errorf("%w: exit status %d, %v", errJudged, status, err)
	}
	w.moved["bruno"] = "-2"
	if err := w.login("bruno"); err != nil {
		return err
	}
	if err := connect(w); err != nil {
		return err
	}
	if _, err := w.people["alice"].Event("warning", "code", "machine-changed"); err != nil {
		return err
	}
	_, err := w.people["bruno"].Event("warning", "code", "machine-change-noticed")
	return err
}

// sameMachine makes the other machine the one that Alice knows.
func sameMachine(w *world) error {
	return os.Symlink(w.machine("bruno"), w.machine("bruno")+"-2")
}

// compareCodes has both ask for their code until nothing is under way, which may take a moment after a message.
func compareCodes(w *world) error {
	if err := w.message("bruno", "alice", "Alice", "Lê-me o teu código."); err != nil {
		return err
	}
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		var codes [2]string
		var counts [2][2]any
		for i, way := range [][2]string{{"alice", "Bruno"}, {"bruno", "Alice"}} {
			id, _, err := w.idOf(way[0], way[1])
			if err != nil {
				return err
			}
			if err := w.people[way[0]].Say("transcript#" + id); err != nil {
				return err
			}
			e, err := w.people[way[0]].Event("transcript")
			if err != nil {
				return err
			}
			codes[i] = fmt.Sprint(e["code"])
			counts[i] = [2]any{e["sent"], e["received"]}
		}
		switch {
		case counts[0] == [2]any{counts[1][1], counts[1][0]}:
			if codes[0] != codes[1] || len(codes[0]) != 35 {
				return fmt.Errorf("%w: %q and %q", errJudged, codes[0], codes[1])
			}
			return nil
		case time.Now().After(end):
			return fmt.Errorf("%w: codes for %v and %v", errJudged, counts[0], counts[1])
		}
	}
}
