// Package cryptoki is what the program asks of a PKCS #11 module and what it is answered, without the module: the words and
// numbers of PKCS #11 v2.40 that are used here, and how a Request and its Response are written down for the pipe between the
// program and the child process that has the module (package child).
package cryptoki

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Op is one thing to do with a module. Each is one or more calls with nothing in between.
type Op uint8

const (
	OpSlots        Op = iota + 1 // C_GetSlotList, C_GetSlotInfo, C_GetTokenInfo: Slots
	OpOpenSession                // of Slot, read-write where Write: Handle
	OpCloseSession               // Session
	OpLogin                      // Session, PIN
	OpLoggedIn                   // Session: Handle is 1 where the user is logged in
	OpFind                       // Session, Template, Types: Objects
	OpMechanisms                 // Slot: Numbers
	OpSign                       // Session, Object, Mechanism, PSS, Data, and with Context a PIN for this signature: Data
	OpGenerate                   // Session, Mechanism, Template of the public key, Private: Objects, public and private
	OpCreate                     // Session, Template: Handle
	OpDestroy                    // Session, Object
	OpInfo                       // Info
	opEnd
)

var calls = [opEnd]string{"", "C_GetSlotList", "C_OpenSession", "C_CloseSession", "C_Login", "C_GetSessionInfo", "C_FindObjects",
	"C_GetMechanismList", "C_Sign", "C_GenerateKeyPair", "C_CreateObject", "C_DestroyObject", "C_GetInfo"}

// String is the call that most of the operation is.
func (o Op) String() string {
	if o < opEnd {
		return calls[o]
	}
	return fmt.Sprintf("operation %d", uint8(o))
}

// Request is what is asked. Fields that an Op does not name are zero.
type Request struct {
	Op        Op
	Slot      uint64
	Session   uint64
	Object    uint64
	Mechanism uint64
	Write     bool // a read-write session
	PSS       bool // parameters of rsa_pss_rsae_sha256
	Context   bool // log in for this one signature, between C_SignInit and C_Sign
	PIN       []byte
	Data      []byte
	Template  []Attribute
	Private   []Attribute
	Types     []uint64
}

// Response is what is answered.
type Response struct {
	Fault   *Fault // nil: done
	Handle  uint64
	Data    []byte
	Numbers []uint64
	Slots   []Slot
	Objects []Object
	Info    Info
}

// Info is what a module says of itself.
type Info struct {
	Description string
	Maker       string
	Version     string
}

// Slot is a reader with the token in it.
type Slot struct {
	ID         uint64
	Reader     string
	Present    bool // an initialised token is in it
	Unknown    bool // the module does not know what is in it
	Label      string
	Maker      string
	Model      string
	Serial     string
	TokenFlags uint64
	Fault      *Fault // why the token cannot be described
}

// Object is a handle and those attributes that were asked for and that it has, in no particular order.
type Object struct {
	Handle     uint64
	Attributes []Attribute
}

// Attribute is a CK_ATTRIBUTE. The size of a CK_ULONG is the module's own affair, hence Number.
type Attribute struct {
	Type   uint64
	Number bool // Value is a big-endian number of 8 bytes and stands for a CK_ULONG
	Value  []byte
}

// Bytes makes an attribute of bytes.
func Bytes(kind uint64, v []byte) Attribute { return Attribute{Type: kind, Value: v} }

// Number makes an attribute of a CK_ULONG.
func Number(kind, v uint64) Attribute {
	return Attribute{kind, true, binary.BigEndian.AppendUint64(nil, v)}
}

// Bool makes an attribute of a CK_BBOOL.
func Bool(kind uint64, v bool) Attribute {
	if v {
		return Bytes(kind, []byte{1})
	}
	return Bytes(kind, []byte{0})
}

// Get is the value of an attribute; ok is false where the object does not have it.
func (o *Object) Get(kind uint64) (v []byte, ok bool) {
	i := slices.IndexFunc(o.Attributes, func(a Attribute) bool { return a.Type == kind })
	if i < 0 {
		return nil, false
	}
	return o.Attributes[i].Value, true
}

// True reports whether the object has a CK_BBOOL and it is true; known is false where it does not have it.
func (o *Object) True(kind uint64) (v, known bool) {
	b, ok := o.Get(kind)
	return ok && len(b) == 1 && b[0] != 0, ok && len(b) == 1
}

// Fault says which call failed and how. Either Code is set, or Text where no call got that far.
type Fault struct {
	Call string // such as C_Sign
	Code Code
	Text string
}

func (f *Fault) Error() string { return f.Call + ": " + f.Cause().Error() }

// Cause is the fault without its call: the Code, where there is one.
func (f *Fault) Cause() error {
	if f.Code != 0 {
		return f.Code
	}
	return errors.New(f.Text)
}

func (f *Fault) Unwrap() error { return f.Cause() }

// Code is a CK_RV.
type Code uint64

func (c Code) Error() string {
	if name, ok := names[c]; ok {
		return name
	}
	return fmt.Sprintf("CKR_%#08x", uint64(c))
}

// Has reports whether err is one of these codes, or wraps one.
func Has(err error, codes ...Code) bool {
	c, ok := errors.AsType[Code](err)
	return ok && slices.Contains(codes, c)
}

// Return values (PKCS #11 v2.40 section 5.1).
const (
	HostMemory            Code = 0x02
	SlotIDInvalid         Code = 0x03
	GeneralError          Code = 0x05
	FunctionFailed        Code = 0x06
	ArgumentsBad          Code = 0x07
	DataLenRange          Code = 0x21
	DeviceError           Code = 0x30
	DeviceRemoved         Code = 0x32
	FunctionCanceled      Code = 0x50
	FunctionNotSupported  Code = 0x54
	KeyHandleInvalid      Code = 0x60
	KeyFunctionForbidden  Code = 0x68
	MechanismInvalid      Code = 0x70
	ObjectHandleInvalid   Code = 0x82
	OperationActive       Code = 0x90
	OperationNotInit      Code = 0x91
	PINIncorrect          Code = 0xA0
	PINInvalid            Code = 0xA1
	PINLenRange           Code = 0xA2
	PINExpired            Code = 0xA3
	PINLocked             Code = 0xA4
	SessionClosed         Code = 0xB0
	SessionCount          Code = 0xB1
	SessionHandleInvalid  Code = 0xB3
	SessionReadOnly       Code = 0xB5
	TokenNotPresent       Code = 0xE0
	TokenNotRecognized    Code = 0xE1
	TokenWriteProtected   Code = 0xE2
	UserAlreadyLoggedIn   Code = 0x100
	UserNotLoggedIn       Code = 0x101
	UserPINNotInitialized Code = 0x102
	UserTypeInvalid       Code = 0x103
	CryptokiNotInit       Code = 0x190
	CryptokiAlreadyInit   Code = 0x191
	FunctionRejected      Code = 0x200
)

var names = map[Code]string{
	HostMemory: "CKR_HOST_MEMORY", SlotIDInvalid: "CKR_SLOT_ID_INVALID", GeneralError: "CKR_GENERAL_ERROR",
	FunctionFailed: "CKR_FUNCTION_FAILED", ArgumentsBad: "CKR_ARGUMENTS_BAD", DataLenRange: "CKR_DATA_LEN_RANGE",
	DeviceError: "CKR_DEVICE_ERROR", DeviceRemoved: "CKR_DEVICE_REMOVED", FunctionCanceled: "CKR_FUNCTION_CANCELED",
	FunctionNotSupported: "CKR_FUNCTION_NOT_SUPPORTED", KeyHandleInvalid: "CKR_KEY_HANDLE_INVALID",
	KeyFunctionForbidden: "CKR_KEY_FUNCTION_NOT_PERMITTED", MechanismInvalid: "CKR_MECHANISM_INVALID",
	ObjectHandleInvalid: "CKR_OBJECT_HANDLE_INVALID", OperationActive: "CKR_OPERATION_ACTIVE",
	OperationNotInit: "CKR_OPERATION_NOT_INITIALIZED", PINIncorrect: "CKR_PIN_INCORRECT", PINInvalid: "CKR_PIN_INVALID",
	PINLenRange: "CKR_PIN_LEN_RANGE", PINExpired: "CKR_PIN_EXPIRED", PINLocked: "CKR_PIN_LOCKED", SessionClosed: "CKR_SESSION_CLOSED",
	SessionCount: "CKR_SESSION_COUNT", SessionHandleInvalid: "CKR_SESSION_HANDLE_INVALID", SessionReadOnly: "CKR_SESSION_READ_ONLY",
	TokenNotPresent: "CKR_TOKEN_NOT_PRESENT", TokenNotRecognized: "CKR_TOKEN_NOT_RECOGNIZED",
	TokenWriteProtected: "CKR_TOKEN_WRITE_PROTECTED", UserAlreadyLoggedIn: "CKR_USER_ALREADY_LOGGED_IN",
	UserNotLoggedIn: "CKR_USER_NOT_LOGGED_IN", UserPINNotInitialized: "CKR_USER_PIN_NOT_INITIALIZED",
	UserTypeInvalid: "CKR_USER_TYPE_INVALID", CryptokiNotInit: "CKR_CRYPTOKI_NOT_INITIALIZED",
	CryptokiAlreadyInit: "CKR_CRYPTOKI_ALREADY_INITIALIZED", FunctionRejected: "CKR_FUNCTION_REJECTED",
}

// Flags of a token.
const (
	FlagLoginRequired    = 0x4
	FlagTokenInitialized = 0x400
	FlagProtectedPath    = 0x100
	FlagPINCountLow      = 0x10000
	FlagPINFinalTry      = 0x20000
	FlagPINLocked        = 0x40000
)

// Classes, types and mechanisms.
const (
	ClassCertificate = 1
	ClassPublicKey   = 2
	ClassPrivateKey  = 3

	CertificateX509 = 0
	KeyRSA          = 0
	KeyEC           = 3

	MechRSAGenerate  = 0x0
	MechRSAPKCS      = 0x1
	MechRSAPSS       = 0xD
	MechSHA256RSA    = 0x40
	MechSHA256RSAPSS = 0x43
	MechECGenerate   = 0x1040
	MechECDSA        = 0x1041
)

// Attributes of objects.
const (
	AttrClass              = 0x0
	AttrToken              = 0x1
	AttrPrivate            = 0x2
	AttrLabel              = 0x3
	AttrValue              = 0x11
	AttrCertificateType    = 0x80
	AttrIssuer             = 0x81
	AttrSerialNumber       = 0x82
	AttrKeyType            = 0x100
	AttrSubject            = 0x101
	AttrID                 = 0x102
	AttrSensitive          = 0x103
	AttrSign               = 0x108
	AttrVerify             = 0x10A
	AttrModulus            = 0x120
	AttrModulusBits        = 0x121
	AttrPublicExponent     = 0x122
	AttrPrivateExponent    = 0x123
	AttrPrime1             = 0x124
	AttrPrime2             = 0x125
	AttrExponent1          = 0x126
	AttrExponent2          = 0x127
	AttrCoefficient        = 0x128
	AttrExtractable        = 0x162
	AttrECParams           = 0x180
	AttrECPoint            = 0x181
	AttrAlwaysAuthenticate = 0x202
)
