package profile

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	const pteid, opensc = "/usr/local/lib/libpteidpkcs11.so", "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"
	for _, tt := range []struct {
		f        Facts
		want     string
		eachTime bool
	}{
		{Facts{Module: pteid, Manufacturer: "Portuguese Government", Model: "Portuguese eID NG", Key: "RSA"}, "Cartão de Cidadão v1", true},
		{Facts{Module: pteid, Manufacturer: "Portuguese Government", Model: "Portuguese eID NG", Key: "EC"}, "Cartão de Cidadão v2", true},
		{Facts{Module: pteid, Label: "CITIZEN CARD"}, "Cartão de Cidadão", true},
		{Facts{Module: `C:\Windows\System32\pteidpkcs11.dll`, Key: "EC"}, "Cartão de Cidadão v2", true},
		{Facts{Module: opensc, Label: "Auth PIN (CARTAO DE CIDADAO)", Key: "RSA"}, "Cartão de Cidadão v1 through OpenSC", false},
		{Facts{Module: opensc, Manufacturer: "piv_II", Label: "PIV_II"}, "PIV", false},
		{Facts{Module: "/usr/lib64/libykcs11.so.2", Manufacturer: "Yubico (www.yubico.com)"}, "PIV through Yubico's module", false},
		{Facts{Module: opensc, Label: "MARI-LIIS MÄNNIK (Isikutuvastus)"}, "Estonian ID card", false},
		{Facts{Module: "/usr/lib/x86_64-linux-gnu/libbeidpkcs11.so.0"}, "Belgian eID", false},
		{Facts{Module: opensc, Label: "BELPIC (Basic PIN)"}, "Belgian eID through OpenSC", false},
		{Facts{Module: "/usr/lib/libpkcs11-dnie.so"}, "DNI electrónico", false},
		{Facts{Module: opensc, Label: "DNI electrónico (PIN)"}, "DNI electrónico through OpenSC", false},
		{Facts{Module: "/usr/lib/softhsm/libsofthsm2.so", Manufacturer: "SoftHSM project"}, "SoftHSM", false},
		{Facts{Module: "/x/libshim.so", Manufacturer: "SoftHSM project"}, "SoftHSM", false},
		{Facts{Module: opensc, Label: "Somebody's"}, "PKCS #11 token", false},
		{Facts{}, "PKCS #11 token", false},
	} {
		if p := Of(tt.f); p.Name != tt.want || p.EachTime != tt.eachTime {
			t.Errorf("%+v: %q, each time %v", tt.f, p.Name, p.EachTime)
		}
	}
}

func TestOfModule(t *testing.T) {
	if p := OfModule("/usr/local/lib/libpteidpkcs11.so"); !p.Terminal || !p.StaticReaders {
		t.Errorf("%+v", p)
	}
	if p := OfModule("/usr/lib/opensc-pkcs11.so"); p.Terminal || p.StaticReaders {
		t.Errorf("%+v", p)
	}
}

// Every module that is looked for is one that a profile knows by name, and stands on an absolute path once.
func TestModulePaths(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows", "freebsd"} {
		seen := map[string]bool{}
		for _, p := range ModulePaths(goos) {
			known := false
			for _, modules := range own {
				for _, m := range modules {
					known = known || m == ModuleName(p)
				}
			}
			if !known || seen[p] || !strings.HasPrefix(p, "/") && !strings.HasPrefix(p, `C:\`) {
				t.Errorf("%s: %s", goos, p)
			}
			seen[p] = true
		}
		if len(seen) < 5 {
			t.Errorf("%s: %d modules", goos, len(seen))
		}
	}
}

func TestModuleName(t *testing.T) {
	for path, want := range map[string]string{"/a/libx.so": "x", "/a/x-y.so.0.1": "x-y", `C:\a\x.dll`: "x", "x": "x", "/a/libx.dylib": "x", "": ".", ".so": ".so"} {
		if got := ModuleName(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestNeedsPCSC(t *testing.T) {
	for path, want := range map[string]bool{"/usr/lib/opensc-pkcs11.so": true, "/usr/local/lib/libpteidpkcs11.so": true,
		"/usr/lib/softhsm/libsofthsm2.so": false, "/x/libother.so": false} {
		if got := NeedsPCSC(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

func TestHolder(t *testing.T) {
	const pteid, opensc = "/usr/local/lib/libpteidpkcs11.so", "/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so"
	apart := func(given, surname string) []pkix.AttributeTypeAndValue {
		return []pkix.AttributeTypeAndValue{{Type: oidGivenName, Value: given}, {Type: oidSurname, Value: surname}}
	}
	for _, tt := range []struct {
		f            Facts
		subject      pkix.Name
		name, number string
	}{
		{Facts{Module: pteid, Key: "EC"}, pkix.Name{CommonName: "ANA SILVA", SerialNumber: "BI12345678"}, "ANA SILVA", "12345678"},
		{Facts{Module: opensc, Label: "x (CARTAO DE CIDADAO)"}, pkix.Name{CommonName: "ANA", SerialNumber: "PNOPT-12345678"}, "ANA", "12345678"},
		{Facts{Module: opensc, Label: "ESTEID"},
			pkix.Name{CommonName: "MÄNNIK,MARI-LIIS,47101010033", SerialNumber: "PNOEE-47101010033", Names: apart("MARI-LIIS", "MÄNNIK")},
			"MARI-LIIS MÄNNIK", "47101010033"},
		{Facts{Module: opensc, Label: "DNI electrónico"},
			pkix.Name{CommonName: "X Y, JUAN (AUTENTICACIÓN)", SerialNumber: "IDCES-00000000T", Names: apart("JUAN", "X")}, "JUAN X", "00000000T"},
		{Facts{Module: opensc, Label: "BELPIC"}, pkix.Name{CommonName: "Jan Peeters (Authentication)", SerialNumber: "71715100070"},
			"Jan Peeters (Authentication)", "71715100070"}, // says nothing apart
		{Facts{}, pkix.Name{CommonName: "Rui\u202e", SerialNumber: "BI1\x1b"}, "Rui\ufffd", "BI1\ufffd"},
		{Facts{}, pkix.Name{}, "", ""},
	} {
		p := Of(tt.f)
		if name, number := p.Holder(&x509.Certificate{Subject: tt.subject}); name != tt.name || number != tt.number {
			t.Errorf("%s: %q, %q", p.Name, name, number)
		}
	}
}
