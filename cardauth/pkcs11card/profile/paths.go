package profile

// ModulePaths are the places where the well-known modules are installed on that system (GOOS). Vendors' own modules stand before
// OpenSC, which reads some of the same cards less well, and SoftHSM last.
func ModulePaths(goos string) []string {
	if p, ok := paths[goos]; ok {
		return p
	}
	return paths["linux"]
}

var paths = map[string][]string{
	"linux": {
		"/usr/local/lib/libpteidpkcs11.so",
		"/usr/lib/libpteidpkcs11.so",
		"/usr/lib/x86_64-linux-gnu/libbeidpkcs11.so.0",
		"/usr/lib/aarch64-linux-gnu/libbeidpkcs11.so.0",
		"/usr/lib64/libbeidpkcs11.so.0",
		"/usr/lib/x86_64-linux-gnu/libykcs11.so",
		"/usr/lib/aarch64-linux-gnu/libykcs11.so",
		"/usr/lib64/libykcs11.so",
		"/usr/lib/libpkcs11-dnie.so",
		"/usr/lib64/libpkcs11-dnie.so",
		"/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so",
		"/usr/lib/aarch64-linux-gnu/opensc-pkcs11.so",
		"/usr/lib64/opensc-pkcs11.so",
		"/usr/lib64/pkcs11/opensc-pkcs11.so",
		"/usr/lib/opensc-pkcs11.so",
		"/usr/local/lib/opensc-pkcs11.so",
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
		"/usr/lib64/softhsm/libsofthsm2.so",
		"/usr/lib64/pkcs11/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
	},
	"darwin": {
		"/usr/local/lib/libpteidpkcs11.dylib",
		"/Library/Belgium Identity Card/Pkcs11/libbeidpkcs11.dylib",
		"/usr/local/lib/libykcs11.dylib",
		"/opt/homebrew/lib/libykcs11.dylib",
		"/Library/Libpkcs11-dnie/lib/libpkcs11-dnie.so",
		"/Library/OpenSC/lib/opensc-pkcs11.so",
		"/usr/local/lib/opensc-pkcs11.so",
		"/opt/homebrew/lib/softhsm/libsofthsm2.so",
		"/usr/local/lib/softhsm/libsofthsm2.so",
	},
	"windows": {
		`C:\Windows\System32\pteidpkcs11.dll`,
		`C:\Windows\System32\beidpkcs11.dll`,
		`C:\Program Files\Yubico\Yubico PIV Tool\bin\libykcs11.dll`,
		`C:\Windows\System32\DNIE_P11_x64.dll`,
		`C:\Windows\System32\DNIE_P11.dll`,
		`C:\Program Files\OpenSC Project\OpenSC\pkcs11\opensc-pkcs11.dll`,
		`C:\SoftHSM2\lib\softhsm2-x64.dll`,
	},
}
