package child

import (
	"io"
	"os"
	"os/exec"
	"time"

	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

// process is a child.
type process struct {
	cmd      *exec.Cmd
	in       *os.File // frames to it
	out      *os.File // frames from it
	exited   chan struct{}
	sessions int // that were opened and not closed
}

// start starts a child for the module; its first answer says whether the module could be loaded. A child that has the terminal
// can ask for a PIN there, as some modules do where there is no screen.
func start(path string, terminal bool) (*process, error) {
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childIn.Close()
	out, childOut, err := os.Pipe()
	if err != nil {
		in.Close()
		return nil, err
	}
	defer childOut.Close()
	p := &process{in: in, out: out, exited: make(chan struct{})}
	if p.cmd, err = command(path, childIn, childOut, terminal); err == nil {
		if terminal {
			p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = os.Stdin, os.Stderr, os.Stderr
		}
		err = p.cmd.Start()
	}
	if err != nil {
		in.Close()
		out.Close()
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // however it ended
		close(p.exited)
	}()
	return p, nil
}

// dead reports whether the child has ended.
func (p *process) dead() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// exchange sends a request, if there is one, and reads an answer. An error says that the child has crashed.
func (p *process) exchange(r *cryptoki.Request) (*cryptoki.Response, error) {
	if r != nil {
		// Room for all of it, so that no half of a PIN stays behind where the slice grew.
		b, err := r.Append(make([]byte, 0, 8192+len(r.PIN)+len(r.Data)))
		if err != nil {
			return nil, err
		}
		err = cryptoki.WriteFrame(p.in, b)
		clear(b)
		if err != nil {
			return nil, err
		}
	}
	frame, err := cryptoki.ReadFrame(p.out)
	if err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	return cryptoki.ParseResponse(frame)
}

// end lets the child finalise its module.
func (p *process) end() {
	p.in.Close()
	select {
	case <-p.exited:
	case <-time.After(2 * endTime):
	}
	p.kill()
}

// kill ends the child, and what it started, whatever it does.
func (p *process) kill() {
	if !p.dead() {
		kill(p.cmd)
		<-p.exited
	}
	p.in.Close()
	p.out.Close()
}
