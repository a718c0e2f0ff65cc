// Command testpki makes certificates, keys and cards for trials: a hierarchy like that of the Cartão de Cidadão, a relay's
// certificate below it, and people's cards in files or on PKCS #11 tokens.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"sinete/cardauth"
	"sinete/cardauth/pkcs11card"
)

const notice = "For trials only, never for production: the keys of these authorities lie in DIR/ca in the clear."

const description = `Certificates and cards for trials.

` + notice + `

  testpki init trial --ocsp http://127.0.0.1:7480    authorities, and a relay's certificate
  testpki ocsp trial                                 answers whether cards still hold, until it is ended
  testpki card trial alice                           a card in the file trial/alice.card
  testpki revoke trial alice                         revokes what alice has
  testpki card trial alice                           a new card, the same person with another key

Exit status: 0 done, 1 failed, 2 wrong usage.`

type cli struct {
	Init   initCmd   `cmd:"" help:"Make a hierarchy and a relay's certificate: DIR/trust/*.pem, DIR/relay.pem, DIR/relay.key."`
	OCSP   ocspCmd   `cmd:"" name:"ocsp" help:"Answer whether the certificates of a hierarchy still hold: OCSP, and revocation lists."`
	Revoke revokeCmd `cmd:"" help:"Revoke or suspend what was issued to somebody. The responder knows at once."`
	Card   cardCmd   `cmd:"" help:"Give a person a card, or renew it: the soft card DIR/NAME.card, or one on a PKCS #11 token."`
}

// output is where commands print; logs they have none.
type output struct{ io.Writer }

func (o output) line(name, format string, args ...any) {
	fmt.Fprintf(o, "%-14s%s\n", name, fmt.Sprintf(format, args...))
}

// exit is how kong's --help leaves the parser.
type exit int

func main() {
	pkcs11card.ChildMain()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case exit:
			code = int(v)
		default:
			panic(v)
		}
	}()
	parser, err := kong.New(&cli{}, kong.Name("testpki"), kong.Description(description), kong.Writers(stdout, stderr),
		kong.Exit(func(c int) { panic(exit(c)) }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(output{stdout}))
	if err != nil {
		fmt.Fprintln(stderr, "testpki:", err)
		return 1
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "testpki: %v\nTry: testpki --help\n", err)
		return 2
	}
	if err := k.Run(); err != nil {
		fmt.Fprintf(stderr, "testpki: %v\n", err)
		if a := advice(err); a != "" {
			fmt.Fprintln(stderr, a)
		}
		return 1
	}
	return 0
}

// advice says what to do about an error.
func advice(err error) string {
	var pin *cardauth.PINError
	var notFound *pkcs11card.NotFoundError
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrExist):
		return "There is something already, and it stays as it is. If testpki made it, use it with `testpki card`; otherwise name another directory."
	case errors.As(err, &pin):
		return "Give the token's user PIN with --pin. It was not tried a second time."
	case errors.As(err, &notFound):
		return "Look at what is there with `pkcs11-tool --module SO --list-slots`; make a SoftHSM2 token with " +
			"`softhsm2-util --init-token --free --label LABEL --so-pin SOPIN --pin PIN`."
	case errors.Is(err, errNoResponder):
		return "Make another with: testpki init DIR --ocsp http://127.0.0.1:7480"
	case errors.As(err, &path) && errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(path.Path, ".pem"):
		return "Make the hierarchy first: testpki init DIR"
	}
	return ""
}
