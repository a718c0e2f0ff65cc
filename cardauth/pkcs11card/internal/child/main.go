// Package child keeps PKCS #11 modules out of the program: each is loaded by a child process, which is this same program
// started anew, and spoken to over two pipes. A module that crashes, hangs or reads what is not its own costs an error and
// nothing else, and killing the child is the one safe way to cancel what a module does.
//
// Main belongs first into main; Acquire gives the other end.
package child

import (
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"sinete/cardauth/pkcs11card/internal/cryptoki"
	"sinete/cardauth/pkcs11card/internal/native"
)

// argument is what makes the program a child; the module's path follows.
const argument = "sinete-pkcs11-module"

var mainCalled atomic.Bool

// Main returns at once in the program itself, and never in a child.
func Main() {
	mainCalled.Store(true)
	if len(os.Args) < 3 || os.Args[1] != argument {
		return
	}
	// Nobody's Ctrl-C is for a child: it ends when the program lets go of the pipe.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	discreet()
	in, out, err := inherited(os.Args[3:])
	if err != nil {
		os.Exit(2)
	}
	os.Exit(serve(os.Args[2], in, out))
}

// serve makes the module's calls one after the other, from one thread, until the program closes the pipe or ends.
func serve(path string, in, out *os.File) (status int) {
	runtime.LockOSThread()
	frames := make(chan []byte)
	go func() {
		defer close(frames)
		for {
			frame, err := cryptoki.ReadFrame(in)
			if err != nil {
				// Whatever the module is doing, nobody wants it any more.
				time.AfterFunc(endTime, func() { os.Exit(0) })
				return
			}
			frames <- frame
		}
	}()
	m, fault := native.Load(path)
	if answer(out, &cryptoki.Response{Fault: fault}) != nil || fault != nil {
		return 1
	}
	defer m.Close()
	for frame := range frames {
		r, err := cryptoki.ParseRequest(frame)
		if err != nil {
			return 1
		}
		a := m.Do(r)
		clear(frame)
		if answer(out, a) != nil {
			return 1
		}
	}
	return 0
}

func answer(out *os.File, a *cryptoki.Response) error {
	b, err := a.Append(nil)
	if err != nil || len(b) > cryptoki.MaxFrame {
		b, err = (&cryptoki.Response{Fault: &cryptoki.Fault{Call: "the answer", Text: "too long"}}).Append(nil)
	}
	if err != nil {
		return err
	}
	return cryptoki.WriteFrame(out, b)
}
