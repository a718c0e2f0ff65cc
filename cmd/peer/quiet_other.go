//go:build !linux

package main

import "errors"

// quiet is not there: without it no PIN is asked for in the middle of a chat.
func quiet() (restore func(), err error) { return nil, errors.ErrUnsupported }
