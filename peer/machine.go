package peer

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"sinete/wire"
)

// Machine is what a person's contacts are told about the machine that they speak from (protocol.md section 7.5).
type Machine struct {
	Facts       []byte // what names the machine; only hashes of it leave the process
	Description string // for people
}

// ThisMachine gathers the facts of the machine that the program runs on: its stable id, operating system, processor model and the addresses of
// built-in network hardware. What cannot be read is left out. secret is random bytes that stay on the machine, without which contacts could
// guess the facts; nil: there are none.
func ThisMachine(secret []byte) *Machine {
	var facts []string
	if len(secret) > 0 {
		facts = append(facts, "secret="+hex.EncodeToString(secret))
	}
	id, err := os.ReadFile("/etc/machine-id")
	if err == nil {
		facts = append(facts, "id="+string(bytes.TrimSpace(id)))
	}
	facts = append(facts, "os="+runtime.GOOS+"/"+runtime.GOARCH)
	cpu := processor()
	facts = append(facts, "cpu="+cpu)
	facts = append(facts, "mac="+strings.Join(builtIn(), ","))
	description := runtime.GOOS + "/" + runtime.GOARCH
	if cpu != "" {
		description += ", " + cpu
	}
	if host, err := os.Hostname(); err == nil {
		description = host + ": " + description
	}
	return &Machine{Facts: []byte(strings.Join(facts, "\n")), Description: clean(description)}
}

// builtIn are the hardware addresses of network interfaces that stay with the machine. Those of containers, tunnels and networks with a drawn
// address come and go, and so does what is plugged in: a change of theirs is none of the machine.
func builtIn() (addresses []string) {
	interfaces, _ := net.Interfaces() // none where they cannot be listed
	for _, i := range interfaces {
		const drawn = 2 // bit of the first byte: nobody's factory gave it (IEEE 802)
		if len(i.HardwareAddr) == 6 && i.HardwareAddr[0]&drawn == 0 && i.Flags&net.FlagLoopback == 0 && !pluggedIn(i.Name) {
			addresses = append(addresses, i.HardwareAddr.String())
		}
	}
	slices.Sort(addresses)
	return addresses
}

// pluggedIn reports whether an interface is one of USB, or of no hardware at all, where the system tells.
func pluggedIn(name string) bool {
	if runtime.GOOS != "linux" {
		return false
	}
	device, err := filepath.EvalSymlinks(filepath.Join("/sys/class/net", name, "device"))
	return err != nil || strings.Contains(device, "/usb")
}

func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, model, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(model)
		}
	}
	return ""
}

// clean makes a description fit to be sent.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !wire.ValidText(string(r)) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	for len(s) > wire.MaxDescription {
		s = strings.ToValidUTF8(s[:wire.MaxDescription], "")
	}
	return s
}
