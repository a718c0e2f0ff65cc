//go:build unix && !linux

package child

func discreet() { noCore() }
