//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package terminal

import "errors"

// quiet is not there: without it no PIN is asked for in the middle of a chat.
func quiet() (restore func(), err error) { return nil, errors.ErrUnsupported }
