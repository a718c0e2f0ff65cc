package settings

import (
	"net"
	"strconv"

	"sinete/peer"
)

// HostOf takes a relay's address apart.
func HostOf(relay string) (string, error) {
	host, port, err := net.SplitHostPort(relay)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return "", &peer.AddressError{Address: relay, Err: err}
	}
	return host, nil
}

// Socket is a UDP socket and the relay's address.
func Socket(relay string) (net.PacketConn, net.Addr, error) {
	addr, err := net.ResolveUDPAddr("udp", relay)
	if err != nil {
		return nil, nil, &peer.AddressError{Address: relay, Err: err}
	}
	pc, err := net.ListenUDP("udp", nil)
	return pc, addr, err
}
