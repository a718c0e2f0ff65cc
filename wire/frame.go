package wire

import "fmt"

// FrameType is the first byte of a frame (protocol.md section 2.3).
type FrameType uint8

const (
	FrameHello       FrameType = 0x01
	FrameAnswer      FrameType = 0x02
	FrameProof       FrameType = 0x03
	FrameAccept      FrameType = 0x04
	FrameEnvelope    FrameType = 0x05
	FrameSeal        FrameType = 0x06
	FrameSwitched    FrameType = 0x07
	FrameRekeyPlease FrameType = 0x08
	FrameMachine     FrameType = 0x09
	FrameProbe       FrameType = 0x0a
	FrameProbeAnswer FrameType = 0x0b
	FrameWaiting     FrameType = 0x0c
	FrameAlive       FrameType = 0x0d
)

var frameNames = [...]string{"0", "hello", "answer", "proof", "accept", "envelope", "seal", "switched", "rekey-please",
	"machine", "probe", "probe-answer", "waiting", "alive"}

func (t FrameType) String() string {
	if t.Known() {
		return frameNames[t]
	}
	return fmt.Sprintf("frame %#02x", uint8(t))
}

// Known reports whether the type is one of section 2.3.
func (t FrameType) Known() bool { return t >= FrameHello && t <= FrameAlive }

// Frame is one frame. Where Body was read from a stream it is valid as long as that reader's documentation says.
type Frame struct {
	Type FrameType
	Body []byte
}

// Append appends the frame: u8 type, varint length, body.
func (f Frame) Append(b []byte) []byte {
	return append(AppendFrameHeader(b, f.Type, len(f.Body)), f.Body...)
}

// AppendFrameHeader appends type and length, for a body of n bytes that the caller appends.
func AppendFrameHeader(b []byte, t FrameType, n int) []byte {
	if n > MaxFrameBody {
		panic("wire: frame body beyond its limit")
	}
	return AppendVarint(append(b, byte(t)), uint64(n))
}

// ParseFrameHeader reads type and length at the start of b. n is the header's length, 0 where b is still too short for
// it. It refuses unknown types and lengths beyond MaxFrameBody.
func ParseFrameHeader(b []byte) (t FrameType, length, n int, err error) {
	if len(b) == 0 {
		return 0, 0, 0, nil
	}
	t = FrameType(b[0])
	if !t.Known() {
		return 0, 0, 0, &MalformedError{"frame", "unknown type"}
	}
	v, m, err := ParseVarint(b[1:])
	if err != nil {
		return 0, 0, 0, err
	}
	if m == 0 {
		return t, 0, 0, nil
	}
	if v > MaxFrameBody {
		return 0, 0, 0, Errorf(CodeLimitExceeded, "a %v frame of %d bytes", t, v)
	}
	return t, int(v), 1 + m, nil
}

// ParseFrame reads exactly one frame. Body aliases b.
func ParseFrame(b []byte) (Frame, error) {
	t, length, n, err := ParseFrameHeader(b)
	if err != nil {
		return Frame{}, err
	}
	if n == 0 || len(b)-n != length {
		return Frame{}, &MalformedError{"frame", "length is not that of its body"}
	}
	return Frame{t, b[n:]}, nil
}

// WaitingFor is what a waiting frame announces.
type WaitingFor uint8

const (
	WaitingForCard WaitingFor = 1
	WaitingForPIN  WaitingFor = 2
)

// ParseWaiting reads the body of a waiting frame.
func ParseWaiting(b []byte) (WaitingFor, error) {
	if len(b) != 1 || b[0] < 1 || b[0] > 2 {
		return 0, &MalformedError{"waiting", "neither card nor PIN"}
	}
	return WaitingFor(b[0]), nil
}

// Alive is the body of an alive frame: so many zeros that a relay which does not know the connection any more answers with a stateless
// reset, and not with silence.
type Alive [32]byte

// Append appends the body.
func (a Alive) Append(b []byte) []byte { return append(b, a[:]...) }

// ParseAlive reads the body of an alive frame.
func ParseAlive(b []byte) (Alive, error) {
	if len(b) != len(Alive{}) || Alive(b) != (Alive{}) {
		return Alive{}, &MalformedError{"alive", "not 32 zeros"}
	}
	return Alive{}, nil
}

// ParseProbe reads the body of a probe or probe-answer frame.
func ParseProbe(b []byte) (nonce [8]byte, err error) {
	if len(b) != len(nonce) {
		return nonce, &MalformedError{"probe", "not 8 bytes"}
	}
	return [8]byte(b), nil
}
