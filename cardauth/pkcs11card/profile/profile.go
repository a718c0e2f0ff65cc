// Package profile is what is known of kinds of cards and of the PKCS #11 modules that read them, as data: Known, and the two
// questions that are asked of it, Of a token and ModulePaths of a system. A card that no profile knows is used all the same, by
// what PKCS #11 itself says of it.
package profile

import (
	"path/filepath"
	"slices"
	"strings"

	"sinete/cardauth/pkcs11card/internal/cryptoki"
)

// Profile is a kind of card as one kind of module shows it.
type Profile struct {
	Name string

	// How it is recognised: all that is not empty must fit.
	Modules []string // file names of the module without "lib" and suffix, one of which it must be
	Maker   string   // the token's manufacturer
	Model   string   // begins the token's model
	Label   string   // is in the token's label
	Key     string   // RSA or EC: the kind of the key that authenticates

	Authenticates byte // CKA_ID, of one byte, of the key that authenticates, where others may have the same usage; 0: none is fixed

	// Habits.
	Dialog        bool // the module asks for the PIN by itself, whatever the token says
	EachTime      bool // it does so at each signature, so that its owner is better served by a delegation
	CAN           bool // C_Login is not given the PIN but the number printed on the card
	Terminal      bool // without a screen its dialog reads the terminal
	StaticReaders bool // a reader plugged in later is seen by a module loaded anew only

	// Mechanisms are those by which this kind signs right, whatever else its module lists; none: all that are listed.
	Mechanisms []uint64

	// How the holder stands in the certificate, see Holder.
	NumberAfter []string // one of these stands before the number in the subject's serialNumber
	NameApart   bool     // given name and surname say more plainly than the common name who it is

	Note string // for whoever wonders
}

// Direct reports whether the card seals by itself at each seal rather than one delegation.
func (p *Profile) Direct() bool { return !p.EachTime }

// Facts are what a profile is recognised by.
type Facts struct {
	Module                     string // path
	Manufacturer, Model, Label string
	Key                        string // RSA, EC, or empty where that is not known
}

// Known are the profiles, the more exact ones first.
var Known = []Profile{
	{Name: "Cartão de Cidadão v1", Modules: own["pteid"], Key: "RSA", Dialog: true, EachTime: true, CAN: true, Terminal: true, StaticReaders: true,
		Mechanisms: pkcs1, NumberAfter: numbers["PT"],
		Note: "RSA 2048 or 3072; the module asks for the PIN at each signature"},
	{Name: "Cartão de Cidadão v2", Modules: own["pteid"], Key: "EC", Dialog: true, EachTime: true, CAN: true, Terminal: true, StaticReaders: true,
		Mechanisms: ecdsa, NumberAfter: numbers["PT"],
		Note: "P-256; contactless it wants the CAN at login, and the PIN at each signature all the same"},
	{Name: "Cartão de Cidadão", Modules: own["pteid"], Dialog: true, EachTime: true, CAN: true, Terminal: true, StaticReaders: true, NumberAfter: numbers["PT"]},
	{Name: "Cartão de Cidadão v1 through OpenSC", Modules: own["opensc"], Label: "CARTAO DE CIDADAO", Mechanisms: hashing, NumberAfter: numbers["PT"],
		Note: "OpenSC does not know v2"},

	{Name: "PIV through Yubico's module", Modules: own["ykcs11"], Authenticates: slot9A, Note: "slot 9A authenticates; 9C wants the PIN each time"},
	{Name: "PIV", Modules: own["opensc"], Maker: "piv_II", Authenticates: slot9A, Note: "slot 9A authenticates; 9C wants the PIN each time"},

	{Name: "Estonian ID card", Modules: own["opensc"], Label: "ESTEID", Mechanisms: ecdsa, NumberAfter: numbers["EE"], NameApart: true,
		Note: "PIN1 authenticates; a slot for each PIN"},
	{Name: "Estonian ID card", Modules: own["opensc"], Label: "Isikutuvastus", Mechanisms: ecdsa, NumberAfter: numbers["EE"], NameApart: true,
		Note: "PIN1 authenticates; a slot for each PIN"},

	{Name: "Belgian eID", Modules: own["beid"], Dialog: true, NameApart: true, Note: "the module asks for the PIN by itself, and once"},
	{Name: "Belgian eID through OpenSC", Modules: own["opensc"], Label: "BELPIC", NameApart: true},

	{Name: "DNI electrónico", Modules: own["dnie"], Mechanisms: pkcs1, NumberAfter: numbers["ES"], NameApart: true,
		Note: "slow: a secure channel, and consent for each signature"},
	{Name: "DNI electrónico through OpenSC", Modules: own["opensc"], Label: "DNI electr", Mechanisms: pkcs1, NumberAfter: numbers["ES"], NameApart: true},

	{Name: "SoftHSM", Modules: own["softhsm"], Maker: "SoftHSM project", Note: "keys in files, for trials"},
	{Name: "SoftHSM", Maker: "SoftHSM project", Note: "keys in files, for trials"},
}

// Of RSA cards some sign with PSS only by applets of late years, and one takes no DigestInfo through OpenSC.
var (
	pkcs1   = []uint64{cryptoki.MechSHA256RSA, cryptoki.MechRSAPKCS}
	hashing = []uint64{cryptoki.MechSHA256RSA}
	ecdsa   = []uint64{cryptoki.MechECDSA}
)

// numbers are the prefixes of serialNumber by country: that of the card, or the semantics identifier of ETSI EN 319 412-1 section 5.1.
var numbers = map[string][]string{
	"PT": {"BI", "PNOPT-", "IDCPT-"},
	"EE": {"PNOEE-"},
	"ES": {"IDCES-", "PNOES-"},
}

// slot9A is the CKA_ID that both modules give the key in that slot.
const slot9A = 1

// Generic is what is assumed of a token that nobody knows.
var Generic = Profile{Name: "PKCS #11 token"}

var own = map[string][]string{
	"pteid":   {"pteidpkcs11", "pteid-pkcs11"},
	"opensc":  {"opensc-pkcs11", "onepin-opensc-pkcs11"},
	"ykcs11":  {"ykcs11"},
	"beid":    {"beidpkcs11", "beid-pkcs11"},
	"dnie":    {"dnie_p11_priv", "pkcs11-dnie", "DNIE_P11", "DNIE_P11_x64"},
	"softhsm": {"softhsm2", "softhsm2-x64"},
}

// Of is the profile of a token, Generic where none fits.
func Of(f Facts) Profile {
	for _, p := range Known {
		if p.fits(f) {
			return p
		}
	}
	return Generic
}

func (p *Profile) fits(f Facts) bool {
	return (len(p.Modules) == 0 || slices.Contains(p.Modules, ModuleName(f.Module))) &&
		(p.Maker == "" || p.Maker == f.Manufacturer) && strings.HasPrefix(f.Model, p.Model) &&
		strings.Contains(f.Label, p.Label) && (p.Key == "" || p.Key == f.Key)
}

// OfModule is what holds of a module whatever card it shows: Terminal and StaticReaders.
func OfModule(path string) Profile {
	for _, p := range Known {
		if slices.Contains(p.Modules, ModuleName(path)) {
			return p
		}
	}
	return Generic
}

// ModuleName is a module's file name without "lib" and suffix, as module-name of RFC 7512 has it.
func ModuleName(path string) string {
	base := filepath.Base(path)
	if i := strings.LastIndexByte(base, '\\'); i >= 0 {
		base = base[i+1:]
	}
	for _, suffix := range []string{".so", ".dylib", ".dll"} { // libbeidpkcs11.so.0 has a version behind
		if i := strings.Index(base, suffix); i > 0 {
			base = base[:i]
		}
	}
	return strings.TrimPrefix(base, "lib")
}

// NeedsPCSC reports whether a module is known to reach its cards through PC/SC.
func NeedsPCSC(path string) bool {
	name := ModuleName(path)
	for of, modules := range own {
		if of != "softhsm" && slices.Contains(modules, name) {
			return true
		}
	}
	return false
}
