//go:build !linux

package transport

import "net"

// readTogether is for Linux.
func readTogether(socket net.PacketConn, _ int) net.PacketConn { return socket }
