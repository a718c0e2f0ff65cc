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
	verbose := flag.Bool("v", false, "print each answer as it comes, with its time and the states that Maude looked at")
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
	p := provers{parallel: *parallel, limit: *limit, verbose: *verbose}
	if err := p.run(flag.Arg(0), *everything, *table, *only); err != nil {
		fmt.Fprintln(os.Stderr, "prove:", err)
		os.Exit(1)
	}
}

// provers are how questions are asked: so many at once, each for so long at most.
type provers struct {
	parallel int
	limit    time.Duration
	verbose  bool
}

func (p provers) run(dir string, everything, table bool, only string) error {
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
		answers := p.answers(asked)
		bad, states := 0, 0
		for i, q := range asked {
			states += answers[i].states
			if a := answers[i]; a.err != nil || a.derivable != q.Derivable {
				bad++
				fmt.Printf("%s: %s: %v, expected %v\n", m.Name, q.Name, a, answer{derivable: q.Derivable})
			}
		}
		fmt.Printf("%-20s %4d questions, %d answered otherwise than expected, %.0f s", filepath.Base(m.Name), len(asked), bad, time.Since(began).Seconds())
		if states > 0 {
			fmt.Printf(", %d states", states)
		}
		fmt.Println()
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
	states    int // that Maude looked at
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
func (p provers) answers(questions []formal.Question) []answer {
	all := make([]answer, len(questions))
	next := make(chan int)
	var asking sync.WaitGroup
	for range p.parallel {
		asking.Go(func() {
			for i := range next {
				began := time.Now()
				all[i] = ask(questions[i], p.limit)
				if p.verbose {
					fmt.Printf("%s: %v, %d states, %.1f s\n", questions[i].Name, all[i], all[i].states, time.Since(began).Seconds())
				}
			}
		})
	}
	for i := range questions {
		next <- i
	}
	close(next)
	asking.Wait()
	return all
}

// ask runs a prover. SPASS: "Completion found" when it has derived all that there is, and the goal was not among it; "Proof found" when it was.
// Maude: "No solution" when it has been in every state that can be reached. It goes on after a module that it does not understand, with a warning.
func ask(q formal.Question, limit time.Duration) answer {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c, no, yes := exec.CommandContext(ctx, "SPASS", "-TPTP", "-Stdin", "-PGiven=0"), "SPASS beiseite: Completion found.", "SPASS beiseite: Proof found."
	if q.Prover == formal.Maude {
		c, no, yes = exec.CommandContext(ctx, "maude", "-no-banner", "-no-wrap", "-batch"), "No solution.", "Solution 1 (state "
	}
	c.Stdin = strings.NewReader(q.Text)
	out, err := c.CombinedOutput()
	said := string(out)
	switch {
	case ctx.Err() != nil:
		return answer{err: fmt.Errorf("no answer within %v", limit)}
	case errors.Is(err, exec.ErrNotFound):
		return answer{err: fmt.Errorf("%w (Debian packages spass and maude)", err)}
	case q.Prover == formal.Maude && strings.Contains(said, "Warning"):
		return answer{err: fmt.Errorf("maude warns: %.500q", said)}
	case strings.Contains(said, no):
		return answer{states: states(said)}
	case strings.Contains(said, yes):
		return answer{derivable: true, states: states(said)}
	default:
		return answer{err: fmt.Errorf("%s says neither: %v: %.500q", c.Path, err, said)}
	}
}

// states finds how many states Maude says it has looked at.
func states(said string) (n int) {
	_, after, _ := strings.Cut(said, "\nstates: ")
	fmt.Sscan(after, &n) // SPASS says nothing of states: 0
	return n
}
