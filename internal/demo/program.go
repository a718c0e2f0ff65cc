package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"sinete/internal/program"
)

// patience is how long a step waits for what a program should print. A demonstration that works waits for none of it.
var patience = 20 * time.Second

func start(name, path string, args ...string) (*program.Program, error) {
	return program.Command{Name: name, Path: path, Args: args, Patience: patience}.Start()
}

// run runs a program to its end, which must be a success, and returns what it printed.
func run(path string, args ...string) (string, error) {
	out, err := exec.Command(path, args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("%s %s: %v\n%s", path, strings.Join(args, " "), exit, out)
	}
	return string(out), err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
