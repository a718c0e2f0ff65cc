//go:build !linux

package chaos

import "errors"

type smallDisk string

func mountDisk(string) (smallDisk, error) { return "", errors.New("only Linux has small disks") }

func (smallDisk) fill() error    { return nil }
func (smallDisk) empty() error   { return nil }
func (smallDisk) unmount() error { return nil }
