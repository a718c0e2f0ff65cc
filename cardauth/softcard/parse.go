package softcard

import (
	"encoding/hex"
	"encoding/pem"
	"strconv"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"sinete/wire"
)

// parse takes a file apart. It allows nothing that Create does not write, but for blanks between blocks.
func parse(path string, b []byte) (h header, box []byte, chain [][]byte, err error) {
	refuse := func(reason string) (header, []byte, [][]byte, error) {
		return header{}, nil, nil, &FormatError{path, reason}
	}
	if len(b) > maxFile {
		return refuse("too long")
	}
	text := strings.TrimSpace(string(b))
	for len(text) > 0 {
		if !strings.HasPrefix(text, "-----BEGIN ") {
			return refuse("text outside its blocks")
		}
		block, rest := pem.Decode([]byte(text))
		if block == nil {
			return refuse("not PEM")
		}
		switch {
		case block.Type == blockType && box == nil && chain == nil:
			var reason string
			if h, reason = parseHeader(block.Headers); reason != "" {
				return refuse(reason)
			}
			box = block.Bytes
		case block.Type == "CERTIFICATE" && box != nil && len(block.Headers) == 0:
			if len(block.Bytes) > wire.MaxCertificate || len(chain) == wire.MaxChain {
				return refuse("too many certificates, or one too long")
			}
			chain = append(chain, block.Bytes)
		default:
			return refuse("an unexpected block " + strconv.Quote(block.Type))
		}
		text = strings.TrimSpace(string(rest))
	}
	if box == nil || chain == nil {
		return refuse("no key, or no certificate")
	}
	return h, box, chain, nil
}

func parseHeader(fields map[string]string) (h header, reason string) {
	if fields["Version"] != "1" {
		return h, "version " + strconv.Quote(fields["Version"])
	}
	number := func(name string, low, high uint64) uint64 {
		v, err := strconv.ParseUint(fields[name], 10, 32)
		if err != nil || v < low || v > high {
			reason = name + " out of its range"
		}
		return v
	}
	bytes := func(name string, size int) []byte {
		v, err := hex.DecodeString(fields[name])
		if err != nil || len(v) != size {
			reason = name + " of the wrong form"
		}
		return v
	}
	h = header{
		scheme: wire.Scheme(number("Scheme", 1, 1<<16-1)),
		memory: uint32(number("Memory", 8, maxMemory)),
		time:   uint32(number("Time", 1, maxTime)),
		salt:   bytes("Salt", saltSize),
		nonce:  bytes("Nonce", chacha20poly1305.NonceSizeX),
	}
	if len(fields) != 6 {
		reason = "headers too many or too few"
	}
	return h, reason
}
