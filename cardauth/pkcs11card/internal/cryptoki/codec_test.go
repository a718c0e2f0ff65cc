package cryptoki

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var request = Request{Op: OpSign, Slot: 1, Session: 2, Object: 3, Mechanism: MechECDSA, Write: true, PSS: true, Context: true,
	PIN: []byte("4711"), Data: []byte("data"), Template: []Attribute{Number(AttrClass, ClassPrivateKey), Bytes(AttrID, []byte{0x45})},
	Private: []Attribute{Bool(AttrSensitive, true), Bytes(AttrLabel, nil)}, Types: []uint64{AttrValue, AttrLabel}}

var response = Response{Fault: &Fault{"C_Sign", DeviceRemoved, "x"}, Handle: 9, Data: []byte("signature"), Numbers: []uint64{1, 2, 1 << 63},
	Slots:   []Slot{{ID: 7, Reader: "R", Present: true, Unknown: true, Label: "L", Maker: "M", Model: "O", Serial: "S", TokenFlags: 4}, {ID: 8, Fault: &Fault{Call: "C"}}},
	Objects: []Object{{Handle: 5, Attributes: []Attribute{Bytes(AttrValue, []byte{1})}}, {Handle: 6}}, Info: Info{"D", "M", "1.2"}}

func TestRequest(t *testing.T) {
	for _, r := range []Request{request, {Op: OpSlots}} {
		b, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRequest(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&r, got); d != "" {
			t.Error(d)
		}
		for n := range len(b) {
			if _, err := ParseRequest(b[:n]); !errors.Is(err, ErrFrame) {
				t.Errorf("%d bytes of %d were taken", n, len(b))
			}
		}
		if _, err := ParseRequest(append(b, 0)); !errors.Is(err, ErrFrame) {
			t.Error("a byte more was taken")
		}
	}
	for _, op := range []Op{0, opEnd} {
		b, err := (&Request{Op: op}).Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseRequest(b); !errors.Is(err, ErrFrame) {
			t.Errorf("operation %d was taken", op)
		}
	}
	if _, err := ParseRequest(make([]byte, MaxFrame)); err == nil {
		t.Error("zeros were taken")
	}
}

// What is wiped in the frame is wiped in the request: there is no second copy of a PIN.
func TestPINIsTheFrames(t *testing.T) {
	b, err := request.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRequest(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !bytes.Equal(r.PIN, make([]byte, 4)) {
		t.Errorf("%q", r.PIN)
	}
}

func TestResponse(t *testing.T) {
	for _, r := range []Response{response, {}} {
		b, err := r.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseResponse(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&r, got); d != "" {
			t.Error(d)
		}
		for n := range len(b) {
			if _, err := ParseResponse(b[:n]); !errors.Is(err, ErrFrame) {
				t.Errorf("%d bytes of %d were taken", n, len(b))
			}
		}
	}
}

func TestFrames(t *testing.T) {
	var b bytes.Buffer
	for _, f := range [][]byte{{}, {1}, make([]byte, MaxFrame)} {
		if err := WriteFrame(&b, f); err != nil {
			t.Fatal(err)
		}
		got, err := ReadFrame(&b)
		if err != nil || !bytes.Equal(got, f) {
			t.Fatalf("%d bytes became %d, %v", len(f), len(got), err)
		}
	}
	if _, err := ReadFrame(&b); err != io.EOF {
		t.Error(err)
	}
	if err := WriteFrame(&b, make([]byte, MaxFrame+1)); !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
	if _, err := ReadFrame(bytes.NewReader([]byte{0xff, 0xff, 0xff})); !errors.Is(err, ErrFrame) {
		t.Error(err)
	}
	if _, err := ReadFrame(bytes.NewReader([]byte{0, 0, 2, 1})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestCode(t *testing.T) {
	err := error(&Fault{Call: "C_Sign", Code: DeviceRemoved})
	if !Has(err, DeviceRemoved) || Has(err, DeviceError) || Has(nil, 0) || err.Error() != "C_Sign: CKR_DEVICE_REMOVED" {
		t.Error(err)
	}
	if s := Code(0x80000001).Error(); s != "CKR_0x80000001" {
		t.Error(s)
	}
	if s := (&Fault{Call: "dlopen", Text: "no"}).Error(); s != "dlopen: no" {
		t.Error(s)
	}
}

// What is read is written down again as it came: a frame has one form.
func FuzzParse(f *testing.F) {
	q, err := request.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	a, err := response.Append(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q)
	f.Add(a)
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRequest(b); err == nil {
			if again, err := r.Append(nil); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%x became %x, %v", b, again, err)
			}
		}
		if r, err := ParseResponse(b); err == nil {
			if again, err := r.Append(nil); err != nil || !bytes.Equal(again, b) {
				t.Errorf("%x became %x, %v", b, again, err)
			}
		}
	})
}
