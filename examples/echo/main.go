// Command echo is a peer that answers each text with itself and a friendly word. It shows all that a program needs to
// talk: a card, whom to trust, a login, and the two loops that take events.
//
//	go run ./examples/echo -relay 127.0.0.1:7443 -card DIR/echo.card -trust DIR/trust
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/netip"
	"os/signal"
	"syscall"
	"time"

	"sinete/cardauth"
	"sinete/cardauth/revocation"
	"sinete/cardauth/softcard"
	"sinete/peer"
)

func main() {
	relay := flag.String("relay", "127.0.0.1:7443", "the relay, as HOST:PORT")
	card := flag.String("card", "echo.card", "the soft card, a file")
	trust := flag.String("trust", "trust", "folder with the certificates of the authorities, up to the root")
	network := flag.String("revocation-network", "", "network of private addresses that may be asked about revocation, as 10.20.0.0/16")
	flag.Parse()
	// Ctrl-C ends ctx, and that ends the program in order.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := echo(ctx, *relay, *card, *trust, *network); err != nil {
		log.Fatal(err)
	}
}

func echo(ctx context.Context, relay, cardFile, trust, network string) error {
	// 1. The card says who we are. It asks for its PIN through a callback; pkcs11card.Open opens a real card in the same way.
	card, err := softcard.Open(ctx, cardFile, askPIN)
	if err != nil {
		return err
	}
	defer card.Close()

	// 2. The policy says whom we believe, the relay and everybody else, and asks whether their cards were revoked.
	anchors, intermediates, err := cardauth.LoadTrust(trust)
	if err != nil {
		return err
	}
	var asking revocation.Config
	if network != "" {
		allowed, err := netip.ParsePrefix(network)
		if err != nil {
			return err
		}
		asking.Allowed = []netip.Prefix{allowed}
	}
	revocation, err := revocation.New(asking)
	if err != nil {
		return err
	}
	policy := &cardauth.Policy{Anchors: anchors, Intermediates: intermediates, Revocation: revocation}

	// 3. The login: the relay proves itself to us, and our card signs that it is us.
	session, err := peer.Login(ctx, peer.Config{Relay: relay, Card: card, Policy: policy})
	if err != nil {
		return err
	}
	fmt.Printf("ready: %s at %s\n", session.Name(), session.Relay())

	// 4. Whoever connects to us opens a conversation. Each has events of its own, hence a goroutine of its own.
	for {
		event, err := session.Next(ctx)
		if err != nil { // ctx has ended: leave in order, so that nothing of what we said is lost
			leave, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			return session.Close(leave)
		}
		switch event := event.(type) {
		case *peer.Opened:
			go converse(event.Conversation)
		case *peer.SessionClosed:
			return event.Err
		}
	}
}

// converse answers until the conversation ends.
func converse(c *peer.Conversation) {
	for {
		// 5. Next hands a message out once its author's seal has been verified, and that is what sends the author our receipt.
		event, err := c.Next(context.Background())
		if err != nil {
			return
		}
		switch event := event.(type) {
		case *peer.Message:
			// 6. Send returns once the text has its place among the texts to this person. Receipts come as events.
			if _, err := c.Send(context.Background(), "You wrote: "+event.Text+" (how nice of you!)"); err != nil {
				log.Printf("no answer to %s: %v", c.Person.Name, err) // too long, or their level is below ours
			}
		case *peer.Receipt:
			log.Printf("to %s, up to number %d: confirmed by the %s", c.Person.Name, event.Number, event.Stage)
		case *peer.Closed: // the last event
			return
		}
	}
}

func askPIN(_ context.Context, r cardauth.PINRequest) (pin string, err error) {
	if r.Wrong {
		return "", errors.New("that was not the PIN")
	}
	fmt.Printf("PIN of %s: ", r.Card)
	_, err = fmt.Scanln(&pin)
	return pin, err
}
