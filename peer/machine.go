package peer

import (
	"bufio"
	"bytes"
	"net"
	"os"
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

// ThisMachine gathers the facts of the machine that the program runs on: its stable id, operating system, processor model and hardware
// addresses. What cannot be read is left out.
func ThisMachine() *Machine {
	var facts []string
	id, err := os.ReadFile("/etc/machine-id")
	if err == nil {
		facts = append(facts, "id="+string(bytes.TrimSpace(id)))
	}
	facts = append(facts, "os="+runtime.GOOS+"/"+runtime.GOARCH)
	cpu := processor()
	facts = append(facts, "cpu="+cpu)
	var addresses []string
	interfaces, _ := net.Interfaces() // none where they cannot be listed
	for _, i := range interfaces {
		if len(i.HardwareAddr) > 0 && i.Flags&net.FlagLoopback == 0 {
			addresses = append(addresses, i.HardwareAddr.String())
		}
	}
	slices.Sort(addresses)
	facts = append(facts, "mac="+strings.Join(addresses, ","))
	description := runtime.GOOS + "/" + runtime.GOARCH
	if cpu != "" {
		description += ", " + cpu
	}
	if host, err := os.Hostname(); err == nil {
		description = host + ": " + description
	}
	return &Machine{Facts: []byte(strings.Join(facts, "\n")), Description: clean(description)}
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
