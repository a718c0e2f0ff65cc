// Command prove asks the provers all that the models of a folder expect, and says where they answer otherwise.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"sinete/internal/formal"
)

func main() {
	parallel := flag.Int("parallel", 2, "provers at once")
	limit := flag.Duration("time", 3*time.Minute, "for one question")
	everything := flag.Bool("everything", false, "ask for each mutant whether it breaks what it is not said to break, too")
	table := flag.Bool("table", false, "print the tables of docs/security.md and docs/formal/README.md, and ask nothing")
	only := flag.String("only", "", "ask only what has this in its name")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: prove [flags] FOLDER\n")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *parallel, *limit, *everything, *table, *only); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

func run(dir string, parallel int, limit time.Duration, everything, table bool, only string) error {
	models, err := formal.LoadAll(os.DirFS(dir))
	if err != nil {
		return err
	}
	if table {
		fmt.Print(formal.Markdown(models), "\n", formal.Idle(models))
		return nil
	}
	wrong := 0
	for _, m := range models {
		questions, err := m.Questions(everything)
		if err != nil {
			return err
		}
		var asked []formal.Question
		for _, q := range questions {
			if strings.Contains(m.Name+": "+q.Name, only) {
				asked = append(asked, q)
			}
		}
		began := time.Now()
		answers := answers(asked, parallel, limit)
		bad := 0
		for i, q := range asked {
			if a := answers[i]; a.err != nil || a.derivable != q.Derivable {
				bad++
				fmt.Printf("%s: %s: %v, expected %v\n", m.Name, q.Name, a, answer{derivable: q.Derivable})
			}
		}
		fmt.Printf("%-20s %4d questions, %d answered otherwise than expected, %.0f s\n", filepath.Base(m.Name), len(asked), bad, time.Since(began).Seconds())
		wrong += bad
	}
	if wrong > 0 {
		return fmt.Errorf("%d answers are not those expected", wrong)
	}
	return nil
}

// answer is what the prover says: whether the goal is derivable, or why it does not say.
type answer struct {
	derivable bool
	err       error
}

func (a answer) String() string {
	switch {
	case a.err != nil:
		return a.err.Error()
	case a.derivable:
		return "derivable"
	default:
		return "not derivable"
	}
}

// answers asks all questions, some at a time.
func answers(questions []formal.Question, parallel int, limit time.Duration) []answer {
	all := make([]answer, len(questions))
	next := make(chan int)
	var provers sync.WaitGroup
	for range parallel {
		provers.Go(func() {
			for i := range next {
				all[i] = ask(questions[i], limit)
			}
		})
	}
	for i := range questions {
		next <- i
	}
	close(next)
	provers.Wait()
	return all
}

// ask runs SPASS: "Completion found" when it has derived all that there is, and the goal was not among it; "Proof found" when it was.
func ask(q formal.Question, limit time.Duration) answer {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, "SPASS", "-TPTP", "-Stdin", "-PGiven=0")
	c.Stdin = strings.NewReader(q.Clauses)
	out, err := c.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return answer{err: fmt.Errorf("no answer within %v", limit)}
	case errors.Is(err, exec.ErrNotFound):
		return answer{err: errors.New("SPASS is not installed (Debian package spass)")}
	case strings.Contains(string(out), "SPASS beiseite: Completion found."):
		return answer{}
	case strings.Contains(string(out), "SPASS beiseite: Proof found."):
		return answer{derivable: true}
	default:
		return answer{err: fmt.Errorf("SPASS says neither: %v: %.500q", err, out)}
	}
}
