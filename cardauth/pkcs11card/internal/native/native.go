//go:build cgo

// Package native makes the calls to a PKCS #11 module that cryptoki.Request asks for. It is the only cgo in the tree, and only
// the child process of package child calls it.
package native

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/miekg/pkcs11"

	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

// Built reports whether this program can load modules.
const Built = true

// Module is a loaded and initialised module. Its calls must come from one thread: modules differ in how much more they bear.
type Module struct{ p *pkcs11.Ctx }

// Load loads and initialises the module at path.
func Load(path string) (*Module, *cryptoki.Fault) {
	p := pkcs11.New(path)
	if p == nil {
		return nil, &cryptoki.Fault{Call: "dlopen", Text: "not a PKCS #11 module, or one for another kind of machine"}
	}
	if f := failed("C_Initialize", p.Initialize()); f != nil && f.Code != cryptoki.CryptokiAlreadyInit {
		return nil, f
	}
	return &Module{p}, nil
}

// Close finalises the module. Nothing may be asked of it afterwards.
func (m *Module) Close() { _ = m.p.Finalize() } // the process ends now

// Do does what is asked. The PIN of the request is wiped when it returns.
func (m *Module) Do(r *cryptoki.Request) *cryptoki.Response {
	defer clear(r.PIN)
	var a cryptoki.Response
	session := pkcs11.SessionHandle(r.Session)
	switch r.Op {
	case cryptoki.OpSlots:
		a.Slots, a.Fault = m.slots()
	case cryptoki.OpInfo:
		i, err := m.p.GetInfo()
		if a.Fault = failed("C_GetInfo", err); err == nil {
			a.Info = cryptoki.Info{Description: i.LibraryDescription, Maker: i.ManufacturerID,
				Version: fmt.Sprintf("%d.%d", i.LibraryVersion.Major, i.LibraryVersion.Minor)}
		}
	case cryptoki.OpOpenSession:
		flags := uint(pkcs11.CKF_SERIAL_SESSION)
		if r.Write {
			flags |= pkcs11.CKF_RW_SESSION
		}
		h, err := m.p.OpenSession(uint(r.Slot), flags)
		a.Handle, a.Fault = uint64(h), failed("C_OpenSession", err)
	case cryptoki.OpCloseSession:
		a.Fault = failed("C_CloseSession", m.p.CloseSession(session))
	case cryptoki.OpLogin:
		a.Fault = m.login(session, pkcs11.CKU_USER, r.PIN)
	case cryptoki.OpLoggedIn:
		i, err := m.p.GetSessionInfo(session)
		if a.Fault = failed("C_GetSessionInfo", err); err == nil && (i.State == pkcs11.CKS_RO_USER_FUNCTIONS || i.State == pkcs11.CKS_RW_USER_FUNCTIONS) {
			a.Handle = 1
		}
	case cryptoki.OpFind:
		a.Objects, a.Fault = m.find(session, r)
	case cryptoki.OpMechanisms:
		list, err := m.p.GetMechanismList(uint(r.Slot))
		for _, mechanism := range list {
			a.Numbers = append(a.Numbers, uint64(mechanism.Mechanism))
		}
		a.Fault = failed("C_GetMechanismList", err)
	case cryptoki.OpSign:
		a.Data, a.Fault = m.sign(session, r)
	case cryptoki.OpGenerate:
		public, private, err := m.p.GenerateKeyPair(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(uint(r.Mechanism), nil)}, native(r.Template), native(r.Private))
		if a.Fault = failed("C_GenerateKeyPair", err); err == nil {
			a.Objects = []cryptoki.Object{{Handle: uint64(public)}, {Handle: uint64(private)}}
		}
	case cryptoki.OpCreate:
		o, err := m.p.CreateObject(session, native(r.Template))
		a.Handle, a.Fault = uint64(o), failed("C_CreateObject", err)
	case cryptoki.OpDestroy:
		a.Fault = failed("C_DestroyObject", m.p.DestroyObject(session, pkcs11.ObjectHandle(r.Object)))
	}
	return &a
}

func (m *Module) slots() ([]cryptoki.Slot, *cryptoki.Fault) {
	ids, err := m.p.GetSlotList(false)
	if err != nil {
		return nil, failed("C_GetSlotList", err)
	}
	var all []cryptoki.Slot
	for _, id := range ids {
		all = append(all, m.slot(id))
	}
	return all, nil
}

func (m *Module) slot(id uint) cryptoki.Slot {
	s := cryptoki.Slot{ID: uint64(id)}
	info, err := m.p.GetSlotInfo(id)
	if err != nil {
		s.Fault = failed("C_GetSlotInfo", err)
		return s
	}
	s.Reader = info.SlotDescription
	if info.Flags&pkcs11.CKF_TOKEN_PRESENT == 0 {
		return s
	}
	t, err := m.p.GetTokenInfo(id)
	switch f := failed("C_GetTokenInfo", err); {
	case f == nil:
		s.Present, s.TokenFlags = t.Flags&pkcs11.CKF_TOKEN_INITIALIZED != 0, uint64(t.Flags)
		s.Unknown = !s.Present
		s.Label, s.Maker, s.Model, s.Serial = t.Label, t.ManufacturerID, t.Model, t.SerialNumber
	case f.Code == cryptoki.TokenNotPresent || f.Code == cryptoki.DeviceRemoved:
	case f.Code == cryptoki.TokenNotRecognized:
		s.Unknown = true
	default:
		s.Fault = f
	}
	return s
}

// login gives the PIN without making a string of it that nobody could wipe.
func (m *Module) login(sh pkcs11.SessionHandle, user uint, pin []byte) *cryptoki.Fault {
	return failed("C_Login", m.p.Login(sh, user, unsafe.String(unsafe.SliceData(pin), len(pin))))
}

func (m *Module) find(sh pkcs11.SessionHandle, r *cryptoki.Request) ([]cryptoki.Object, *cryptoki.Fault) {
	if err := m.p.FindObjectsInit(sh, native(r.Template)); err != nil {
		return nil, failed("C_FindObjectsInit", err)
	}
	var handles []pkcs11.ObjectHandle
	for {
		some, _, err := m.p.FindObjects(sh, 64)
		if err != nil {
			_ = m.p.FindObjectsFinal(sh) // what came first is what matters
			return nil, failed("C_FindObjects", err)
		}
		if len(some) == 0 {
			break
		}
		handles = append(handles, some...)
	}
	if err := m.p.FindObjectsFinal(sh); err != nil {
		return nil, failed("C_FindObjectsFinal", err)
	}
	var all []cryptoki.Object
	for _, h := range handles {
		o := cryptoki.Object{Handle: uint64(h)}
		for _, kind := range r.Types {
			// One by one: an attribute that the object does not have makes some modules answer nothing at all.
			a, err := m.p.GetAttributeValue(sh, h, []*pkcs11.Attribute{pkcs11.NewAttribute(uint(kind), nil)})
			if err == nil && len(a) == 1 {
				o.Attributes = append(o.Attributes, cryptoki.Bytes(kind, a[0].Value))
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// sign makes the calls of one signature, between which nothing may come.
func (m *Module) sign(sh pkcs11.SessionHandle, r *cryptoki.Request) ([]byte, *cryptoki.Fault) {
	var parameters any
	if r.PSS {
		const saltLength = 32 // of rsa_pss_rsae_sha256: as long as the hash
		parameters = pkcs11.NewPSSParams(pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, saltLength)
	}
	mechanism := []*pkcs11.Mechanism{pkcs11.NewMechanism(uint(r.Mechanism), parameters)}
	if err := m.p.SignInit(sh, mechanism, pkcs11.ObjectHandle(r.Object)); err != nil {
		return nil, failed("C_SignInit", err)
	}
	if r.Context {
		if f := m.login(sh, pkcs11.CKU_CONTEXT_SPECIFIC, r.PIN); f != nil {
			return nil, f
		}
	}
	sig, err := m.p.Sign(sh, r.Data)
	return sig, failed("C_Sign", err)
}

func native(all []cryptoki.Attribute) []*pkcs11.Attribute {
	var b []*pkcs11.Attribute
	for _, a := range all {
		if a.Number {
			b = append(b, pkcs11.NewAttribute(uint(a.Type), uint(binary.BigEndian.Uint64(a.Value))))
		} else {
			b = append(b, pkcs11.NewAttribute(uint(a.Type), a.Value))
		}
	}
	return b
}

// failed names the call that went wrong; nil stays nil.
func failed(call string, err error) *cryptoki.Fault {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[pkcs11.Error](err); ok {
		return &cryptoki.Fault{Call: call, Code: cryptoki.Code(e)}
	}
	return &cryptoki.Fault{Call: call, Text: fmt.Sprint(err)}
}
